"""Mails: templates, the outbox in which they wait, sending."""
