"""GET /api/v1/taxonomy of the shipped model."""

from service.nlp.taxonomy import built_in

CATEGORIES = built_in().category_keys
RISK_TYPES = built_in().risk_types


def test_taxonomy_lists_every_type_with_definition_and_example(user):
    categories = user.http.get("/api/v1/taxonomy").raise_for_status().json()["categories"]
    risk_types = [r for c in categories for r in c["risk_types"]]
    assert [c["key"] for c in categories] == [*CATEGORIES]
    assert [r["key"] for r in risk_types] == [*RISK_TYPES]
    for entry in (*categories, *risk_types):
        assert all(entry[name].strip() for name in ("title", "definition", "example"))


def test_taxonomy_examples_found_by_the_model_have_their_type(user):
    categories = user.http.get("/api/v1/taxonomy").json()["categories"]
    examples = [r["example"] for c in categories for r in c["risk_types"]]
    contexts = {item["context"] for item in user.scan("\n\n".join(examples)).json()["data"]}
    assert len(contexts & set(examples)) > 0.75 * len(examples)
