"""What a job is, and what people see of it."""
