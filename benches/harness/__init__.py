"""The parts of benches/bench.

Who uses whom, from the top down:

    scenario     the list of what can be run
    comparison, memory, soak     the three kinds of scenario
    sample       one round of one server; spread: many rounds
    server, contender     a running server; the command line that starts one
    answer, load     whether what came back is right; traffic
    process_tree, cores, machine     what Linux says
    settings, table, trouble     used by all of the above
"""
