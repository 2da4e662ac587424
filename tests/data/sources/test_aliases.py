from tunesmith.core import registry
from tunesmith.data.sources._aliases import ALIASES


def test_every_alias_is_claimed_by_one_source_before_the_hub() -> None:
    names = [name for name in registry.names("data_source") if not any(o.required for o in registry.describe("data_source", name).options)]
    sources = [registry.create("data_source", name) for name in names]
    for alias in ALIASES:
        claiming = sorted((source.rank, type(source).__name__) for source in sources if source.claims(alias))
        assert [name for _, name in claiming] in (
            ["Pypi", "Hub"],
            ["Python", "Hub"],
            ["GeneralQuestions", "Hub"],
            ["DatedFacts", "Hub"],
            ["PythonQuestions", "Hub"],
            ["Sklearn", "Hub"],
        )
