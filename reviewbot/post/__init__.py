# SPDX-License-Identifier: GPL-2.0-or-later
"""A finished report in, a delivery out: mail by git's sendemail settings. Dry run unless told otherwise."""

from reviewbot.post.mail import Delivery, mail

__all__ = ["Delivery", "mail"]
