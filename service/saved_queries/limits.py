"""The limits of saved queries: what is beyond them is refused, at definition or when it runs."""

from types import MappingProxyType

from service.query.limits import table

MAXIMUM_QUERIES = 100
MAXIMUM_QUERIES_BYTES = 65_536
MAXIMUM_DESCRIPTION_CHARACTERS = 1000
MAXIMUM_PARAMETERS_OF_A_QUERY = 20
MAXIMUM_STAGES = 20
MAXIMUM_MEMBERS = 50
MAXIMUM_EXPRESSIONS = 300
MAXIMUM_EXPRESSION_DEPTH = 10
MAXIMUM_ARGUMENTS = 20
MAXIMUM_LOOKUPS = 3
MAXIMUM_RESULTS = 1000
DEFAULT_RESULTS = 100
MAXIMUM_SKIPPED = 10_000
MAXIMUM_GATHERED = 1000
MAXIMUM_JOINED = 100
MAXIMUM_ANSWER_BYTES = 4 * 1024 * 1024
TIME_LIMIT_S = 2.0

MEANINGS = MappingProxyType(
    {
        "MAXIMUM_QUERIES": "queries of one definition",
        "MAXIMUM_QUERIES_BYTES": "bytes of JSON of all of them",
        "MAXIMUM_DESCRIPTION_CHARACTERS": "characters of a query's description",
        "MAXIMUM_PARAMETERS_OF_A_QUERY": "parameters of one query",
        "MAXIMUM_STAGES": "stages of one pipeline",
        "MAXIMUM_MEMBERS": "members that one stage or `object` makes",
        "MAXIMUM_EXPRESSIONS": "expressions of one query, those within others counted too",
        "MAXIMUM_EXPRESSION_DEPTH": "levels of expressions within each other",
        "MAXIMUM_ARGUMENTS": "arguments of one function",
        "MAXIMUM_LOOKUPS": "`lookup` stages of one pipeline",
        "MAXIMUM_RESULTS": "documents of an answer at the most",
        "DEFAULT_RESULTS": "documents of an answer when the query has no `limit`",
        "MAXIMUM_SKIPPED": "documents that one `skip` passes over",
        "MAXIMUM_GATHERED": "values that `push` and `add_to_set` give, of each group",
        "MAXIMUM_JOINED": "documents that `lookup` gives for an array of references",
        "MAXIMUM_ANSWER_BYTES": "bytes of an answer",
        "TIME_LIMIT_S": "seconds that a query may take in MongoDB",
    }
)
"""What each limit bounds, for the documentation."""


def as_markdown() -> str:
    """Return the table of limits for docs/reference/saved-queries.md."""
    return table(MEANINGS, globals())
