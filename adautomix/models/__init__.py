"""The networks: the classifier and its backbones, the mask generator, and the teacher's moving average."""
