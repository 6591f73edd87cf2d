// SPDX-License-Identifier: GPL-2.0
/*
 * The trace events' C side, and for each an entry point that Rust can call.
 */
#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "trace.h"
