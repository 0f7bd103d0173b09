"""The start of the service: the command, and who answers at the port until all else is loaded and open."""
