"""How good the right eye is: `make quality`. What is measured, and how: docs/quality.md."""
