"""Archives and appliances: tar, OVA, ZIP, 7z."""
