"""Archives as they stream past: tar and zip."""
