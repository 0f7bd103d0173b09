"""The upload of bytes before the call that makes an image of them."""

from fetcher.importer.methods.method import Flow, ImportMethod
from fetcher.importer.records.upload_words import upload_words

METHOD = ImportMethod(name="stage", flow=Flow.STAGE, words=upload_words)
