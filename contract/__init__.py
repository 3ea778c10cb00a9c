"""What the web side and the GPU side agree on: keys, invocation, errors, frames."""
