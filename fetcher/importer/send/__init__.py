"""Hand-over of complete images to the target image service."""
