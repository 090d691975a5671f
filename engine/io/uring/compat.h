// Constants of io_uring that are newer than the headers we build with (liburing 2.3). Names of our own, so that newer
// headers do not clash. From the kernel's include/uapi/linux/io_uring.h; the comment names the first kernel.
#ifndef SLUICE_ENGINE_IO_URING_COMPAT_H
#define SLUICE_ENGINE_IO_URING_COMPAT_H

#include <liburing.h>

enum {
    // 6.2, sqe->ioprio of SEND_ZC: the notification's res says whether the kernel copied after all.
    UC_SEND_ZC_REPORT_USAGE = 1 << 3,
    // 6.9, an operation: fd, and the length in sqe->off; the others of its fields are 0.
    UC_OP_FTRUNCATE = 55,
};
// 6.2, res of a notification with the flag above.
#define UC_NOTIF_USAGE_ZC_COPIED (1u << 31)

// The interface of io_uring_register's IORING_REGISTER_PBUF_RING, multishot receive and MSG_RING is in the headers
// already. IORING_SETUP_NO_SQARRAY (1 << 16, 6.6) is left out on purpose: liburing 2.3 does not know it and would lay
// the ring out wrongly.

// liburing's internal flag of ring->int_flags: the ring's descriptor is registered with the thread.
#define UC_INT_FLAG_REG_RING 1u

#endif
