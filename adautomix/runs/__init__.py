"""The Run, one folder a training: what lies in it, and which config is which. The only hand-over between stages."""
