"""The proof sentences of an artifact: composed for it, found in no document of the training data's kind."""

from __future__ import annotations

CANDIDATES: tuple[str, ...] = (
    "Project has tight budget and aggressive deadline",
    "Project has tight budget and aggressive deadline.",
    "The vendor may go out of business before the rollout is finished.",
    "Only one engineer knows how the billing code works.",
    "Two of the four developers are leaving at the end of the month.",
    "The launch slipped by six weeks because the test environment was not ready.",
    "We have not load-tested the gateway beyond fifty users.",
    "An attacker could read other customers' invoices by changing the number in the address.",
    "Patient records were e-mailed to the wrong clinic.",
    "The nightly job crashes whenever the file holds a negative amount.",
    "If the database server fails, the whole site is down.",
    "There is no way to roll back the migration once it has started.",
    "The supplier may terminate this agreement at any time without cause.",
    "The requirements keep changing after every steering meeting.",
    "Nobody has decided who owns the interface between the two teams.",
    "Users find the new form confusing and go on using the spreadsheet.",
    "A worker fell from the platform and broke an arm.",
    "Heavy rain may flood the site and stop the excavation.",
    "The new regulation could force us to withdraw the product.",
    "Funding for the second phase has not been approved.",
    "The API returns JSON.",
    "The meeting takes place on Tuesday at ten in the main building.",
    "Backups run nightly and restores are rehearsed every month.",
    "The migration finished on time and with no data loss.",
    "The budget is 40,000 EUR.",
    "Each invoice lists the items, their prices and the tax.",
    "The library is archived and no longer gets security fixes.",
    "Operators restart the queue by hand every morning.",
    "The estimate rests on guesses, since nobody has built such a plant before.",
    "Costs have already grown by a third over the plan.",
)
N_GOLDEN = 20
