"""A server: adapters resident on shared backbones, an HTTP API, a page, and labels made with a model in the loop."""
