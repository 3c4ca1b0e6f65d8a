import { join } from 'node:path'

export type GatewayPlace = {
  fsid: string
  monPort: number
  /** Of the S3 endpoint. */
  port: number
  diskGiB: number
  /** Absolute; holds the folders of the three programs. */
  folder: string
}

/** ceph.conf for one monitor, one OSD on a sparse file and one gateway, without a manager, on loopback. */
export const cephConfiguration = ({ fsid, monPort, port, diskGiB, folder }: GatewayPlace): string => `[global]
fsid = ${fsid}
mon_initial_members = a
mon_host = [v2:127.0.0.1:${monPort}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
# Loopback only, so no cephx; without it there is no session key, and "secure" cannot be the only mode.
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc secure
ms_bind_msgr1 = false
# No admin sockets: their paths may be 107 bytes long at most.
run_dir = ${folder}
crash_dir = ${folder}
admin_socket =
keyring = /dev/null
log_to_file = false
log_to_stderr = true
err_to_stderr = true
mon_cluster_log_to_file = false
debug_rocksdb = 0/0
debug_bluestore = 0/0
debug_bluefs = 0/0
debug_bdev = 0/0
debug_mon = 0/0
debug_paxos = 0/0
debug_osd = 0/0
debug_rgw = 0/0
# A lone monitor has nobody to wait for: by default it gathers changes for a second each, and a first start makes twenty.
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
# How soon a client looks for an OSD that was away (5 s by default), and an OSD's disk threads notice that they end.
objecter_tick_interval = 0.5
bdev_aio_poll_ms = 20
# After a kill -9: when a client asks the monitor where the OSD is now (10 s by default), and how long the OSD believes in a
# gateway that is gone (30 s; making a bucket waits for it).
objecter_timeout = 1
osd_client_watch_timeout = 3
# How soon the others look again for a monitor that was away (3 s by default, and longer each time in vain).
mon_client_hunt_interval = 0.5
mon_client_hunt_interval_max_multiple = 1
# One copy of everything on one OSD, few placement groups, nothing that needs the absent manager.
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 2000
mon_warn_on_pool_no_redundancy = false
# The disk of a trial machine is often nearly full; Ceph would refuse writes at its usual marks.
mon_data_avail_crit = 1
mon_data_avail_warn = 2
mon_osd_full_ratio = 0.97
mon_osd_backfillfull_ratio = 0.96
mon_osd_nearfull_ratio = 0.95

[mon]
mon_data = ${join(folder, 'mon')}

[osd]
osd_data = ${join(folder, 'osd')}
osd_journal =
osd_objectstore = bluestore
bluestore_block_create = true
bluestore_block_size = ${diskGiB * 1024 ** 3}
bluestore_block_db_create = false
bluestore_block_wal_create = false
# A fixed small cache in place of the 4 GiB that autotuning aims for.
bluestore_cache_autotune = false
bluestore_cache_size = ${128 * 1024 ** 2}
osd_max_pg_log_entries = 500
osd_min_pg_log_entries = 250

[client]
# Without tcp_nodelay every small answer waits 40 ms for the peer's delayed ACK.
rgw_frontends = beast endpoint=127.0.0.1:${port} tcp_nodelay=1
rgw_data = ${join(folder, 'rgw')}
rgw_thread_pool_size = 64
rgw_enable_ops_log = false
rgw_enable_usage_log = false
rgw_crypt_require_ssl = false
# How long a gateway that was killed while it completed an object keeps others from completing it (ten minutes by default).
rgw_mp_lock_max_time = 60
rgw_rados_pool_pg_num_min = 8
# Give the space of deleted objects back soon (two hours by default).
rgw_gc_obj_min_wait = 20
rgw_gc_processor_period = 20
rgw_gc_processor_max_time = 20
`
