# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees in, Review out: what can be said of each patch, and of the series, without booting anything.

Must not know: how anything is built (it is given what the builds said), where mails come from, how a review is shown.
"""

from reviewbot.review.copies import partners
from reviewbot.review.interface import disagreement
from reviewbot.review.series import review

__all__ = ["disagreement", "partners", "review"]
