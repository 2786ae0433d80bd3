"""What notebook 03 prints of collapsed generators is what their numbers say."""

from adautomix.lessons import collapse_told

SHOWN = {"automix": 1.0, "adautomix": 0.3}
MIXING = {"automix": 0.6, "adautomix": 1.0}
SINGLE = {"automix": 0.0, "adautomix": 1.0}


def test_masks_that_mix_are_not_called_collapsed():
    assert collapse_told(MIXING, {"automix": 98.0, "adautomix": 97.0}, SHOWN).startswith("no generator has collapsed")


def test_a_collapsed_generator_that_leads_is_said_to_have_trained_on_clean_images():
    told = collapse_told(SINGLE, {"automix": 98.6, "adautomix": 97.4}, SHOWN)
    assert "automix has collapsed: at equal shares of the label image 1 has 1.00 of the pixels" in told
    assert "automix is the most accurate all the same (98.6 %)" in told
    assert "clean images with a softened label" in told


def test_a_collapsed_generator_that_does_not_lead_is_not_said_to():
    told = collapse_told(SINGLE, {"automix": 90.0, "adautomix": 97.4}, SHOWN)
    assert "the most accurate, adautomix (97.4 %), has not collapsed" in told
    assert "clean images" not in told


def test_without_accuracies_only_the_collapse_is_told():
    assert collapse_told(SINGLE, {}, SHOWN).count("\n") == 0
