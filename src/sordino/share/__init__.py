"""Adapters in forms that others use: merged into a plain checkpoint, as LoRA in peft's format, as ONNX."""
