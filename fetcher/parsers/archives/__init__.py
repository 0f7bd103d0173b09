"""Parsers of what archives and appliances are written in: headers of tar, names, units, frames."""
