/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What rext2 needs of the kernel beyond the bindings of the `kernel` crate: whole types where that crate has
 * only a declaration, functions that its headers do not reach, and prototypes of the helpers in helpers.c.
 */
#ifndef _REXT2_BINDINGS_H
#define _REXT2_BINDINGS_H

#include <linux/backing-dev.h>
#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/exportfs.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fileattr.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/iomap.h>
#include <linux/iversion.h>
#include <linux/mm.h>
#include <linux/mpage.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/statfs.h>
#include <linux/swap.h>
#include <linux/uio.h>
#include <linux/writeback.h>

#include "helpers.h"

#endif
