"""The values that the index takes and gives, whichever index it is."""

from fetcher.index.values.exports import CANCELLED, SENT, Export, ExportAttempt, ReceiverSecrets
from fetcher.index.values.images import FAILED_IMPORT, SORT_KEYS, Filter, ImageQuery, Operator
from fetcher.index.values.imports import (
    FILTERS,
    TASK_ORDERS,
    IdempotencyKey,
    NewImport,
    Secrets,
    Stage,
    TaskQuery,
    WebhookTarget,
    Worker,
)
from fetcher.index.values.lists import IMAGE_ORDERS, IMPORT_ORDERS, ImportPage, ListPage, ListQuery
from fetcher.index.values.maintenance import BlobState
from fetcher.index.values.metadefs import (
    ITEM_ORDERS,
    METADEF_ORDERS,
    At,
    Bounds,
    Content,
    Item,
    Kind,
    Mode,
    Namespace,
    NamespaceQuery,
    Page,
    ResourceType,
    Whole,
)
from fetcher.index.values.notices import Due, Wanted
from fetcher.index.values.pulls import Remembered, ResumeState
from fetcher.index.values.reading import ANSWER_BYTES, READER, Reader, Rows
from fetcher.index.values.statistics import Ended, Ending, OriginFigures, ProjectUsage, Totals
from fetcher.index.values.usage import Quota, Usage

__all__ = [
    "ANSWER_BYTES",
    "CANCELLED",
    "FAILED_IMPORT",
    "FILTERS",
    "IMAGE_ORDERS",
    "IMPORT_ORDERS",
    "ITEM_ORDERS",
    "METADEF_ORDERS",
    "READER",
    "SENT",
    "SORT_KEYS",
    "TASK_ORDERS",
    "At",
    "BlobState",
    "Bounds",
    "Content",
    "Due",
    "Ended",
    "Ending",
    "Export",
    "ExportAttempt",
    "Filter",
    "IdempotencyKey",
    "ImageQuery",
    "ImportPage",
    "Item",
    "Kind",
    "ListPage",
    "ListQuery",
    "Mode",
    "Namespace",
    "NamespaceQuery",
    "NewImport",
    "Operator",
    "OriginFigures",
    "Page",
    "ProjectUsage",
    "Quota",
    "Reader",
    "ReceiverSecrets",
    "Remembered",
    "ResourceType",
    "ResumeState",
    "Rows",
    "Secrets",
    "Stage",
    "TaskQuery",
    "Totals",
    "Usage",
    "Wanted",
    "WebhookTarget",
    "Whole",
    "Worker",
]
