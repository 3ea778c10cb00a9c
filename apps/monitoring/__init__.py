"""What operators see: health, metrics, Flower."""
