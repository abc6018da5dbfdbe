"""Who is told what, when, and what they are spared: pure functions over one customer's alerts.

`decide` takes in what became of a finding, `acknowledge` what people say about it, `wake` the passing of time; the
`outbox` is what waits to be said and what came of saying it. Suppressing is never silent: each step returns rows that
say why.
"""
