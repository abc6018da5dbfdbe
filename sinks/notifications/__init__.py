"""Where alerts are told: each destination says one notice and answers what came of it (`schemas.notices.Outcome`).

A destination keeps no state and never repeats by itself: who repeats, and when, is the notify agent's business.
"""
