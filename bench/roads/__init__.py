"""The contestants, one module each: a process that reads a topic to its end, counts per customer and says how fast.

    python -m bench.roads.NAME BOOTSTRAP TOPIC GROUP RECORDS DIRECTORY

prints one line of JSON (`bench.roads.stopwatch.Reading`) and ends. Those of the peers run in an environment of their
own and import nothing but their library, the standard library and the stopwatch.
"""
