"""The one gate to the network; the one room that knows aiohttp."""
