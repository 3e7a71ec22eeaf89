// SPDX-License-Identifier: GPL-2.0
/*
 * The trace points. No logic here.
 */
#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "trace.h"
