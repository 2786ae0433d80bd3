"""What the authors published: the paper's tables, and their own training logs, as data frames."""

from adautomix.utils.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "author_logs": "epochs_of first_iterations log log_of_cell logs",
        "tables": "COLUMN_NAMES PUBLISHED_ROLE TABLE3_READING columns published table1 table2 table3",
    },
)
