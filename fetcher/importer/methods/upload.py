"""The upload of an image's bytes."""

from fetcher.importer.methods.method import Flow, ImportMethod
from fetcher.importer.records.upload_words import upload_words

METHOD = ImportMethod(name="upload", flow=Flow.SEND, words=upload_words)
