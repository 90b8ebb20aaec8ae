"""Part of _core.pyx: what the module informs the loop of."""


def new_information():
    """What has come since the last call, oldest first: a list of (what, pairs).

    ``what`` is an INFORM_...; the pairs are as ``SessionHandle.pairs`` has them.
    """
    cdef convai_information *information = convai_information_take()
    cdef convai_information *following
    cdef list found = []
    while information is not NULL:
        following = information.next
        try:
            found.append(
                (information.what, list(pairs_of(information.pairs, information.pair_count)))
            )
        finally:
            convai_information_free(information)
        information = following
    return found


INFORM_SETTINGS, INFORM_CALL_OVER = CONVAI_INFORM_SETTINGS, CONVAI_INFORM_CALL_OVER
