"""Part of _core.pyx: inquiries, as the loop thread sees them."""


cdef class InquiryHandle:
    """The loop thread's end of one inquiry. Holds one of its two references."""

    cdef convai_inquiry *inquiry
    cdef readonly str kind
    cdef readonly str agent
    cdef readonly double seconds

    def __dealloc__(self):
        self.release()

    cpdef release(self):
        """Let go of it. Who asks is not left without an answer."""
        if self.inquiry is not NULL:
            convai_inquiry_answer(self.inquiry, CONVAI_OUTCOME_FAILED, b"the engine gave no answer")
            convai_inquiry_unref(self.inquiry)
        self.inquiry = NULL

    cdef convai_inquiry *held(self) except NULL:
        if self.inquiry is NULL:
            raise ValueError("this inquiry has been released")
        return self.inquiry

    @property
    def pairs(self):
        """What it is about: (kind, name, value) of each; as ``SessionHandle.pairs``."""
        return pairs_of(self.held().pairs, self.held().pair_count)

    @property
    def given_up(self):
        """True once nobody waits for the answer any more."""
        return convai_inquiry_given_up(self.held()) != 0

    def answer(self, bint ok, str text not None):
        """Say what was found. Only the first answer has an effect."""
        convai_inquiry_answer(
            self.held(), CONVAI_OUTCOME_OK if ok else CONVAI_OUTCOME_FAILED, text.encode()
        )


def new_inquiries():
    """The inquiries that have come in since the last call, as a list of InquiryHandle."""
    cdef convai_inquiry *inquiry = convai_inquiries_take()
    cdef InquiryHandle handle
    cdef list handles = []
    while inquiry is not NULL:
        handle = InquiryHandle.__new__(InquiryHandle)
        handle.inquiry = inquiry
        handle.kind = inquiry.kind.decode("utf-8", "replace")
        handle.agent = inquiry.agent.decode("utf-8", "replace")
        handle.seconds = inquiry.limit_ms / 1000.0
        handles.append(handle)
        inquiry = inquiry.next
    return handles
