"""Requests to a bucket and their answers: a connection, objects, what errors mean."""
