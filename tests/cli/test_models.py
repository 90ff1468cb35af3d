"""`models`: the registry from the command line."""


def test_models_verify_proves_the_shipped_model(riskscan, tmp_path):
    assert "is proved" in riskscan("models", "verify").stdout
    absent = riskscan("models", "verify", tmp_path)
    assert absent.returncode == 1
    assert "manifest.json" in absent.stderr
