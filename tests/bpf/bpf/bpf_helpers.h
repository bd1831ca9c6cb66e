/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands in for libbpf's header of this name where BPF sources are compiled natively: the helpers
 * are functions of tests/bpf/fake.c.
 */
#ifndef SEEP_TEST_BPF_HELPERS_H
#define SEEP_TEST_BPF_HELPERS_H

#define SEC(name)
#define __weak __attribute__((weak))
#define __noinline __attribute__((noinline))
#define __ksym
#define __hidden __attribute__((visibility("hidden")))
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))

/* A map is a struct whose members' types say what it is; see fake_map_add() in native.h. */
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]

#ifndef NULL
#define NULL ((void *)0)
#endif

#define barrier_var(var) asm volatile("" : "+r"(var))
#define barrier() asm volatile("" ::: "memory")

void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_map_update_elem(void *map, const void *key, const void *value, unsigned long long flags);
long bpf_map_delete_elem(void *map, const void *key);
void *bpf_task_storage_get(void *map, void *task, void *value, unsigned long long flags);
void *bpf_ringbuf_reserve(void *ring, unsigned long long size, unsigned long long flags);
void bpf_ringbuf_submit(void *record, unsigned long long flags);
void bpf_ringbuf_discard(void *record, unsigned long long flags);
unsigned long long bpf_ringbuf_query(void *ring, unsigned long long what);
long bpf_probe_read_user(void *to, unsigned int size, const void *from);
unsigned long long bpf_ktime_get_ns(void);
unsigned long long bpf_jiffies64(void);
unsigned long long bpf_get_current_pid_tgid(void);
unsigned long long bpf_get_current_task(void);
void *bpf_get_current_task_btf(void);
long bpf_task_pt_regs(void *task);
long bpf_current_task_under_cgroup(void *map, unsigned int index);
long bpf_get_current_comm(void *to, unsigned int size);
unsigned int bpf_get_smp_processor_id(void);
unsigned long long bpf_get_attach_cookie(void *ctx);
unsigned int bpf_get_prandom_u32(void);

#endif
