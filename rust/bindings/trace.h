/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace points of PGM: events/pgm in tracefs. Included twice, see
 * <trace/define_trace.h>.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pgm

#if !defined(PGM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define PGM_TRACE_H

#include <linux/tracepoint.h>

/* A TSI as pgm(1) prints it. */
#define PGM_TSI_FMT "%02x%02x%02x%02x%02x%02x.%u"
#define PGM_TSI_ARGS(tsi) (u8)((tsi) >> 56), (u8)((tsi) >> 48), \
	(u8)((tsi) >> 40), (u8)((tsi) >> 32), (u8)((tsi) >> 24), \
	(u8)((tsi) >> 16), (u32)((tsi) & 0xffff)

TRACE_EVENT(pgm_receive,
	TP_PROTO(u64 tsi, u16 port, u8 type, u32 len),
	TP_ARGS(tsi, port, type, len),
	TP_STRUCT__entry(
		__field(u64, tsi)
		__field(u16, port)
		__field(u8, type)
		__field(u32, len)
	),
	TP_fast_assign(
		__entry->tsi = tsi;
		__entry->port = port;
		__entry->type = type;
		__entry->len = len;
	),
	TP_printk("tsi=" PGM_TSI_FMT " port=%u type=%s len=%u",
		  PGM_TSI_ARGS(__entry->tsi), __entry->port,
		  __print_symbolic(__entry->type,
				   { 0, "SPM" }, { 1, "POLL" }, { 2, "POLR" },
				   { 4, "ODATA" }, { 5, "RDATA" }, { 8, "NAK" },
				   { 9, "NNAK" }, { 10, "NCF" }, { 12, "SPMR" },
				   { 13, "ACK" }),
		  __entry->len)
);

TRACE_EVENT(pgm_discard,
	TP_PROTO(const char *reason, u32 len),
	TP_ARGS(reason, len),
	TP_STRUCT__entry(
		__dynamic_array(char, reason, len + 1)
	),
	TP_fast_assign(
		memcpy(__get_dynamic_array(reason), reason, len);
		((char *)__get_dynamic_array(reason))[len] = 0;
	),
	TP_printk("reason=%s", __get_str(reason))
);

TRACE_EVENT(pgm_nak,
	TP_PROTO(u64 tsi, u32 sqn, u8 state),
	TP_ARGS(tsi, sqn, state),
	TP_STRUCT__entry(
		__field(u64, tsi)
		__field(u32, sqn)
		__field(u8, state)
	),
	TP_fast_assign(
		__entry->tsi = tsi;
		__entry->sqn = sqn;
		__entry->state = state;
	),
	TP_printk("tsi=" PGM_TSI_FMT " sqn=%u state=%s",
		  PGM_TSI_ARGS(__entry->tsi), __entry->sqn,
		  __print_symbolic(__entry->state,
				   { 0, "BACK-OFF" }, { 1, "WAIT-NCF" },
				   { 2, "WAIT-DATA" }, { 3, "REPAIRED" },
				   { 4, "LOST" }))
);

TRACE_EVENT(pgm_window,
	TP_PROTO(u64 tsi, bool source, u32 trail, u32 lead),
	TP_ARGS(tsi, source, trail, lead),
	TP_STRUCT__entry(
		__field(u64, tsi)
		__field(bool, source)
		__field(u32, trail)
		__field(u32, lead)
	),
	TP_fast_assign(
		__entry->tsi = tsi;
		__entry->source = source;
		__entry->trail = trail;
		__entry->lead = lead;
	),
	TP_printk("tsi=" PGM_TSI_FMT " window=%s trail=%u lead=%u",
		  PGM_TSI_ARGS(__entry->tsi),
		  __entry->source ? "TXW" : "RXW",
		  __entry->trail, __entry->lead)
);

TRACE_EVENT(pgm_rate,
	TP_PROTO(u64 tsi, u32 kbit),
	TP_ARGS(tsi, kbit),
	TP_STRUCT__entry(
		__field(u64, tsi)
		__field(u32, kbit)
	),
	TP_fast_assign(
		__entry->tsi = tsi;
		__entry->kbit = kbit;
	),
	TP_printk("tsi=" PGM_TSI_FMT " rate_kbit=%u",
		  PGM_TSI_ARGS(__entry->tsi), __entry->kbit)
);

#endif /* PGM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
