"""The arithmetic of mixing: blending, the loss terms and saliency. Plain functions on tensors."""
