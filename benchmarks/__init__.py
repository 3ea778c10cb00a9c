"""What things cost, measured; README.md says what each figure means."""
