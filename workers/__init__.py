"""What runs beside and beneath the tasks."""
