# syntax=docker/dockerfile:1
#
# The site and the workers: one image, the command says which. From the repository's root:
#   docker build -t stereospot .
#   docker run stereospot                                               the site
#   docker run stereospot celery -A stereospot worker -Q media          (gpu, control)
#   docker run stereospot celery -A stereospot beat -s tmp/beat
#   docker run stereospot python /app/manage.py migrate
# EXTRAS=inference adds torch, for workers with INFERENCE_BACKEND=local:
#   docker build --build-arg EXTRAS=inference -t stereospot:local .

FROM python:3.11.15-slim-bookworm AS python

FROM python AS dependencies
ARG EXTRAS=""
RUN python -m venv /opt/venv
WORKDIR /build
COPY pyproject.toml constraints.txt ./
RUN /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt \
        ".${EXTRAS:+[$EXTRAS]}"

FROM python AS stereospot
LABEL org.opencontainers.image.title="StereoSpot" \
      org.opencontainers.image.description="The site and its workers"
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    STEREOSPOT_DATA_DIR=/var/lib/stereospot
RUN useradd --uid 10001 --create-home stereospot \
    && install --directory --owner stereospot --group stereospot \
        /var/lib/stereospot /var/lib/stereospot/tmp
# Who signs RDS's certificates, for sslrootcert. No checksum: AWS adds new ones.
ADD --chmod=644 https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem /etc/ssl/rds.pem
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /app
COPY manage.py ./
COPY contract contract
COPY stereospot stereospot
COPY apps apps
COPY workers workers
COPY inference inference
USER 10001
WORKDIR /var/lib/stereospot
# Named only so that the settings load: nothing of them is used, and none is kept.
RUN DATABASE_URL=postgresql://none CELERY_BROKER_URL=sqs:// DJANGO_SECRET_KEY=none \
    python /app/manage.py collectstatic --no-input
# Not the folder above: a volume would keep the old image's static files.
VOLUME /var/lib/stereospot/tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "stereospot.health", "127.0.0.1:8000"]
CMD ["gunicorn", "stereospot.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", "--workers", "2", "--threads", "8", "--timeout", "120", "--worker-tmp-dir", "/dev/shm", "--no-control-socket", "--logger-class", "stereospot.gunicorn.Logger"]
