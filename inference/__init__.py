"""Makes the right eye: one segment of a film in, its stereo picture out."""
