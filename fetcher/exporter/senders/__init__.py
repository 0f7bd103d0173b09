"""How an image is sent: one file for each kind of receiver, and a list of them."""
