/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract: the table of what exercises what, and the check that nothing is missing from it.
 *
 * A row says: this function, with this result, is exercised by that test of that file. The tests below read the
 * public headers and the test files and hold the table against them:
 *
 *   - every function of the headers has a row;
 *   - every error code that stands in the comment over a group of declarations has a row with one of them;
 *   - every row's test exists, and its file names the function and the code.
 *
 * jvm.h is left out: its tests need a JVM, or are in jvm_*_test.c. Run from the project's root, as scripts/native-test
 * does, or from anywhere with an absolute path at compile time: the sources are found by the name this file had.
 */
#include "check.h"

#include <ctype.h>

struct row {
    const char *function, *code, *file, *test;
};

#define OK "0"

static const struct row rows[] = {
    /* error.h, abi.h */
    {"weft_error_text", OK, "kthd_test.c", "every_documented_code_has_a_text_of_its_own"},
    {"weft_abi_version", OK, "kthd_test.c", "the_abi_version_is_the_headers"},
    {"weft_abi_now_ns", OK, "kthd_test.c", "the_abi_clock_is_the_monotonic_one"},
    {"weft_abi_self", OK, "adopt_test.c", "the_forms_for_bindings_do_what_the_plain_forms_do"},
    {"weft_lwt_yield_as", OK, "adopt_test.c", "the_forms_for_bindings_do_what_the_plain_forms_do"},
    {"weft_lwt_park_as", OK, "adopt_test.c", "the_forms_for_bindings_do_what_the_plain_forms_do"},
    {"weft_chan_send_as", OK, "adopt_test.c", "the_forms_for_bindings_do_what_the_plain_forms_do"},
    {"weft_chan_recv_as", OK, "adopt_test.c", "the_forms_for_bindings_do_what_the_plain_forms_do"},
    {"weft_cgrp_wait_as", OK, "adopt_test.c", "the_forms_for_bindings_do_what_the_plain_forms_do"},

    {"weft_chan_send_now_as", OK, "adopt_test.c", "the_quick_forms_complete_at_once_or_do_nothing"},
    {"weft_chan_send_now_as", "EAGAIN", "adopt_test.c", "the_quick_forms_leave_a_shared_channel_to_the_full_ones"},
    {"weft_chan_recv_now_as", OK, "adopt_test.c", "the_quick_forms_complete_at_once_or_do_nothing"},
    {"weft_chan_recv_now_as", "EAGAIN", "adopt_test.c", "the_quick_forms_leave_a_shared_channel_to_the_full_ones"},

    /* kthd.h */
    {"weft_kthd_attr_init", OK, "kthd_test.c", "attr_init_fills_in_the_documented_defaults"},
    {"weft_kthd_create", OK, "kthd_test.c", "a_kthd_runs_its_lwts_on_a_carrier_of_its_own"},
    {"weft_kthd_create", "EINVAL", "kthd_test.c", "create_refuses_an_unknown_idle_strategy"},
    {"weft_kthd_create", "EINVAL", "kthd_test.c", "create_refuses_an_unknown_flag"},
    {"weft_kthd_create", "EINVAL", "kthd_test.c", "create_refuses_to_spin_for_more_than_a_second"},
    {"weft_kthd_create", "EINVAL", "kthd_test.c", "create_refuses_a_processor_outside_the_affinity_mask"},
    {"weft_kthd_create", "ENOSPC", "kthd_test.c", "the_4096th_kthd_is_refused_with_enospc_and_then_there_is_room_again"},
    {"weft_kthd_create", "ENOMEM", "fault_test.c", "creating_a_kthd_without_memory_is_enomem"},
    {"weft_kthd_create", "EAGAIN", "fault_test.c", "creating_a_kthd_without_a_thread_is_eagain"},
    {"weft_kthd_create", "ENOTSUP", "limits_test.c", "without_fsgsbase_kthds_and_adoption_are_refused"},
    {"weft_kthd_run", OK, "kthd_test.c", "lwts_of_an_external_kthd_queue_up_until_a_thread_runs_it"},
    {"weft_kthd_run", "ESRCH", "kthd_test.c", "run_refuses_a_kthd_that_is_not_there"},
    {"weft_kthd_run", "EINVAL", "kthd_test.c", "run_refuses_a_kthd_with_a_carrier_of_its_own"},
    {"weft_kthd_run", "EBUSY", "kthd_test.c", "run_refuses_a_kthd_that_another_thread_runs"},
    {"weft_kthd_run", "EPERM", "kthd_test.c", "run_refuses_a_native_lwt"},
    {"weft_kthd_run", "EPERM", "kthd_test.c", "run_refuses_an_adopted_thread"},
    {"weft_kthd_run", "ENOMEM", "fault_test.c", "running_a_kthd_without_memory_is_enomem_and_it_can_be_run_later"},
    {"weft_kthd_destroy", OK, "kthd_test.c", "destroy_stops_the_carrier_and_makes_the_handle_stale"},
    {"weft_kthd_destroy", "ESRCH", "kthd_test.c", "destroy_stops_the_carrier_and_makes_the_handle_stale"},
    {"weft_kthd_destroy", "EBUSY", "kthd_test.c", "destroy_refuses_while_lwts_live"},
    {"weft_kthd_destroy", "EBUSY", "kthd_test.c", "a_second_destroyer_gets_ebusy"},
    {"weft_kthd_destroy", "EDEADLK", "kthd_test.c", "an_lwt_cannot_destroy_the_kthd_it_lives_on"},
    {"weft_kthd_destroy", "EINVAL", "kthd_test.c", "destroy_refuses_an_unknown_flag"},
    {"weft_kthd_current", OK, "kthd_test.c", "current_is_the_lwts_kthd_and_none_on_a_plain_thread"},
    {"weft_kthd_name", OK, "kthd_test.c", "a_name_is_copied_and_cut_to_31_bytes"},
    {"weft_kthd_name", "ESRCH", "kthd_test.c", "kthd_name_refuses_an_empty_buffer_and_a_stale_kthd"},
    {"weft_kthd_name", "EINVAL", "kthd_test.c", "kthd_name_refuses_an_empty_buffer_and_a_stale_kthd"},
    {"weft_kthd_info", OK, "kthd_test.c", "info_counts_lwts_by_what_they_do"},
    {"weft_kthd_info", "ESRCH", "kthd_test.c", "info_of_a_kthd_that_is_not_there_is_esrch"},
    {"weft_info", OK, "kthd_test.c", "switches_are_counted_per_kthd_and_in_all"},
    {"weft_platform_check", OK, "kthd_test.c", "platform_check_accepts_this_machine_and_leaves_no_sentence"},
    {"weft_platform_check", "ENOTSUP", "limits_test.c", "without_fsgsbase_kthds_and_adoption_are_refused"},

    /* lwt.h */
    {"weft_lwt_attr_init", OK, "lwt_test.c", "attr_init_fills_in_the_documented_defaults"},
    {"weft_lwt_create", OK, "lwt_test.c", "join_gives_what_the_function_returned"},
    {"weft_lwt_create", "EINVAL", "lwt_test.c", "create_refuses_no_function"},
    {"weft_lwt_create", "EINVAL", "lwt_test.c", "create_refuses_an_unknown_flag"},
    {"weft_lwt_create", "EINVAL", "lwt_test.c", "create_refuses_a_stack_size_out_of_range"},
    {"weft_lwt_create", "EINVAL", "lwt_test.c", "create_refuses_no_place_for_the_handle_unless_detached"},
    {"weft_lwt_create", "ESRCH", "lwt_test.c", "create_refuses_a_kthd_that_is_not_there"},
    {"weft_lwt_create", "EPERM", "lwt_test.c", "create_refuses_the_zero_kthd_on_a_plain_thread"},
    {"weft_lwt_create", "ENOSPC", "limits_test.c", "a_full_table_of_lwts_is_enospc"},
    {"weft_lwt_create", "ENOMEM", "fault_test.c", "creating_an_lwt_without_memory_is_enomem"},
    {"weft_lwt_create", "EACCES", "limits_test.c", "a_veto_on_a_function_is_passed_on"},
    {"weft_lwt_exit", OK, "lwt_test.c", "exit_from_any_depth_gives_its_value_to_the_joiner"},
    {"weft_lwt_join", OK, "lwt_test.c", "join_waits_for_an_lwt_of_another_kthd"},
    {"weft_lwt_join", "ESRCH", "lwt_test.c", "a_second_join_is_esrch"},
    {"weft_lwt_join", "EINVAL", "lwt_test.c", "a_detached_lwt_cannot_be_joined"},
    {"weft_lwt_join", "EINVAL", "adopt_test.c", "others_can_name_unpark_and_interrupt_a_thread_lwt_but_not_join_it"},
    {"weft_lwt_join", "EDEADLK", "lwt_test.c", "joining_oneself_is_edeadlk"},
    {"weft_lwt_join", "EDEADLK", "lwt_test.c", "a_cycle_of_three_joins_is_edeadlk"},
    {"weft_lwt_join", "EBUSY", "lwt_test.c", "a_second_joiner_at_the_same_time_is_ebusy"},
    {"weft_lwt_join", "EINTR", "lwt_test.c", "an_interrupt_ends_a_wait_with_eintr"},
    {"weft_lwt_join_until", "ETIMEDOUT", "lwt_test.c", "join_until_times_out_and_the_lwt_can_be_joined_again"},
    {"weft_lwt_detach", OK, "lwt_test.c", "detach_makes_an_lwt_leave_nothing"},
    {"weft_lwt_detach", "ESRCH", "lwt_test.c", "detach_frees_a_zombie"},
    {"weft_lwt_detach", "EINVAL", "lwt_test.c", "detach_of_a_detached_lwt_is_einval"},
    {"weft_lwt_detach", "EINVAL", "adopt_test.c", "an_adopted_thread_cannot_be_joined_or_detached"},
    {"weft_lwt_detach", "EBUSY", "lwt_test.c", "detach_of_an_lwt_that_is_being_joined_is_ebusy"},
    {"weft_lwt_yield", OK, "lwt_test.c", "lwts_run_in_the_order_of_creation_and_yield_is_fifo"},
    {"weft_lwt_yield_to", OK, "lwt_test.c", "yield_to_goes_first"},
    {"weft_lwt_yield_to", "ESRCH", "lwt_test.c", "yield_to_nobody_is_esrch"},
    {"weft_lwt_yield_to", "EAGAIN", "lwt_test.c", "yield_to_an_lwt_that_waits_for_no_turn_is_eagain"},
    {"weft_lwt_yield_to", "EINVAL", "lwt_test.c", "yield_to_oneself_or_to_another_kthds_lwt_is_einval"},
    {"weft_lwt_yield_to", "EPERM", "lwt_test.c", "yield_to_from_a_plain_thread_is_eperm"},
    {"weft_lwt_current", OK, "lwt_test.c", "current_and_id_are_the_handle"},
    {"weft_lwt_id", OK, "lwt_test.c", "id_is_right_at_every_instruction_under_a_storm_of_signals"},
    {"weft_lwt_name", OK, "lwt_test.c", "a_name_is_copied_and_cut_to_31_bytes"},
    {"weft_lwt_name", "ESRCH", "lwt_test.c", "lwt_name_refuses_an_empty_buffer_and_a_stale_lwt"},
    {"weft_lwt_name", "EINVAL", "lwt_test.c", "lwt_name_refuses_an_empty_buffer_and_a_stale_lwt"},
    {"weft_lwt_state", OK, "lwt_test.c", "the_states_of_a_life_are_seen_in_turn"},
    {"weft_lwt_state", "ESRCH", "lwt_test.c", "the_states_of_a_life_are_seen_in_turn"},
    {"weft_lwt_kthd", OK, "lwt_test.c", "kthd_of_an_lwt_is_where_it_lives"},
    {"weft_lwt_kthd", "ESRCH", "lwt_test.c", "kthd_of_an_lwt_is_where_it_lives"},
    {"weft_lwt_migrate", OK, "lwt_test.c", "migrate_moves_an_lwt_to_the_other_kthds_carrier"},
    {"weft_lwt_migrate", "ESRCH", "lwt_test.c", "migrate_to_a_kthd_that_is_not_there_is_esrch"},
    {"weft_lwt_migrate", "EPERM", "lwt_test.c", "migrate_from_a_plain_thread_is_eperm"},
    {"weft_lwt_adopt", OK, "adopt_test.c", "an_adopted_thread_is_an_lwt_with_handle_name_and_state"},
    {"weft_lwt_adopt", "ESRCH", "adopt_test.c", "adopt_refuses_a_kthd_that_is_not_there"},
    {"weft_lwt_adopt", "EINVAL", "adopt_test.c", "adopt_refuses_flags_and_a_stack_size"},
    {"weft_lwt_adopt", "EPERM", "adopt_test.c", "an_lwt_cannot_be_adopted"},
    {"weft_lwt_adopt", "ENOMEM", "fault_test.c", "adopting_without_memory_is_enomem"},
    {"weft_lwt_adopt", "ENOSPC", "limits_test.c", "a_full_table_of_lwts_is_enospc"},
    {"weft_lwt_adopt", "ENOTSUP", "limits_test.c", "without_fsgsbase_kthds_and_adoption_are_refused"},
    {"weft_lwt_leave", OK, "adopt_test.c", "an_adopted_thread_runs_on_the_carrier_and_after_leave_on_its_own_kernel_thread"},
    {"weft_lwt_leave", "EPERM", "adopt_test.c", "leave_refuses_a_plain_thread_and_a_native_lwt"},
    {"weft_lwt_step_aside", OK, "adopt_test.c", "a_loose_lwt_runs_on_its_own_kernel_thread_until_it_yields"},
    {"weft_lwt_step_aside", "ENOTSUP", "adopt_test.c", "step_aside_is_for_thread_lwts"},
    {"weft_lwt_park", OK, "lwt_test.c", "a_permit_that_came_before_is_taken_without_waiting"},
    {"weft_lwt_park", "EPERM", "lwt_test.c", "park_on_a_plain_thread_is_eperm"},
    {"weft_lwt_park", "ETIMEDOUT", "lwt_test.c", "park_times_out_after_its_deadline_and_not_before"},
    {"weft_lwt_park", "EINTR", "lwt_test.c", "an_interrupt_ends_a_wait_with_eintr"},
    {"weft_lwt_unpark", OK, "lwt_test.c", "unpark_works_from_a_plain_thread"},
    {"weft_lwt_unpark", "ESRCH", "lwt_test.c", "unpark_of_nobody_is_esrch"},
    {"weft_lwt_interrupt", OK, "lwt_test.c", "an_interrupt_before_the_wait_ends_the_next_one_only"},
    {"weft_lwt_interrupt", "ESRCH", "lwt_test.c", "unpark_of_nobody_is_esrch"},
    {"weft_lwt_interrupt", "EINTR", "lwt_test.c", "an_interrupt_ends_a_wait_with_eintr"},
    {"weft_lwt_interrupt", "ENOMEM", "fault_test.c", "an_interrupt_without_memory_is_enomem_or_needs_none"},

    /* chan.h */
    {"weft_chan_create", OK, "chan_test.c", "a_new_channel_is_empty_open_and_held_once"},
    {"weft_chan_create", "EINVAL", "chan_test.c", "create_refuses_a_capacity_beyond_the_limit"},
    {"weft_chan_create", "ENOMEM", "fault_test.c", "creating_a_channel_without_memory_is_enomem"},
    {"weft_chan_create", "ENOSPC", "chan_test.c", "the_table_of_channels_is_full_at_its_documented_limit"},
    {"weft_chan_send", OK, "chan_test.c", "a_rendezvous_send_waits_for_its_receiver"},
    {"weft_chan_send", "EBADF", "chan_test.c", "a_freed_channel_is_ebadf_everywhere"},
    {"weft_chan_send", "EPIPE", "chan_test.c", "close_wakes_every_waiting_sender_and_its_words_are_not_sent"},
    {"weft_chan_send", "EINTR", "chan_test.c", "an_interrupted_send_was_not_sent"},
    {"weft_chan_send_until", "ETIMEDOUT", "chan_test.c", "a_deadline_ends_a_wait_after_it_has_passed_and_not_before"},
    {"weft_chan_try_send", "EAGAIN", "chan_test.c", "a_buffer_of_every_capacity_to_199_holds_exactly_that_many"},
    {"weft_chan_recv", OK, "chan_test.c", "a_receive_from_an_empty_channel_waits_whatever_the_capacity"},
    {"weft_chan_recv", "EPIPE", "chan_test.c", "close_lets_the_buffer_drain_and_then_reports_epipe"},
    {"weft_chan_recv", "EBADF", "chan_test.c", "a_freed_channel_is_ebadf_everywhere"},
    {"weft_chan_recv", "EINTR", "lwt_test.c", "an_interrupt_ends_a_wait_with_eintr"},
    {"weft_chan_recv", "EINVAL", "chan_test.c", "receive_refuses_no_place_for_the_word"},
    {"weft_chan_recv_until", "ETIMEDOUT", "chan_test.c", "a_deadline_ends_a_wait_after_it_has_passed_and_not_before"},
    {"weft_chan_try_recv", "EAGAIN", "chan_test.c", "a_buffer_of_every_capacity_to_199_holds_exactly_that_many"},
    {"weft_chan_attr_init", OK, "ring_test.c", "records_are_written_and_read_where_they_lie"},
    {"weft_chan_create_with", OK, "ring_test.c", "a_ring_says_what_it_is"},
    {"weft_chan_create_with", "EINVAL", "ring_test.c", "create_with_refuses_what_cannot_be"},
    {"weft_chan_create_with", "EUSERS", "ring_test.c", "a_single_end_is_its_first_users"},
    {"weft_chan_try_send", "EUSERS", "ring_test.c", "a_single_end_is_its_first_users"},
    {"weft_chan_send", "EINVAL", "ring_test.c", "the_halves_are_for_channels_in_place_and_the_wholes_for_the_others"},
    {"weft_chan_send_all", OK, "ring_test.c", "a_batch_waits_where_it_must_and_arrives_in_order"},
    {"weft_chan_send_all", "EINVAL", "ring_test.c", "a_batch_says_how_much_of_it_was_sent"},
    {"weft_chan_send_all", "EPIPE", "ring_test.c", "a_batch_says_how_much_of_it_was_sent"},
    {"weft_chan_send_all", "EBADF", "ring_test.c", "a_batch_says_how_much_of_it_was_sent"},
    {"weft_chan_drain", OK, "ring_test.c", "a_batch_waits_where_it_must_and_arrives_in_order"},
    {"weft_chan_drain", "EPIPE", "ring_test.c", "a_batch_waits_where_it_must_and_arrives_in_order"},
    {"weft_chan_drain", "EBADF", "ring_test.c", "a_batch_waits_where_it_must_and_arrives_in_order"},
    {"weft_chan_drain", "EINVAL", "ring_test.c", "a_batch_says_how_much_of_it_was_sent"},
    {"weft_chan_drain", "EUSERS", "ring_test.c", "a_single_end_is_its_first_users"},
    {"weft_chan_claim", OK, "ring_test.c", "a_claim_made_before_the_close_counts_if_others_could_have_seen_it"},
    {"weft_chan_claim", "EINVAL", "ring_test.c", "the_halves_are_for_channels_in_place_and_the_wholes_for_the_others"},
    {"weft_chan_claim", "EBADF", "ring_test.c", "the_halves_are_for_channels_in_place_and_the_wholes_for_the_others"},
    {"weft_chan_claim_until", "ETIMEDOUT", "ring_test.c", "records_are_written_and_read_where_they_lie"},
    {"weft_chan_try_claim", OK, "ring_test.c", "records_are_written_and_read_where_they_lie"},
    {"weft_chan_try_claim", "EAGAIN", "ring_test.c", "records_are_written_and_read_where_they_lie"},
    {"weft_chan_try_claim", "EPIPE", "ring_test.c", "records_are_written_and_read_where_they_lie"},
    {"weft_chan_publish", OK, "ring_test.c", "records_are_written_and_read_where_they_lie"},
    {"weft_chan_publish", "EPIPE", "ring_test.c", "a_claim_made_before_the_close_counts_if_others_could_have_seen_it"},
    {"weft_chan_take", OK, "ring_test.c", "a_claim_made_before_the_close_counts_if_others_could_have_seen_it"},
    {"weft_chan_take_until", "ETIMEDOUT", "ring_test.c", "records_are_written_and_read_where_they_lie"},
    {"weft_chan_try_take", "EAGAIN", "ring_test.c", "records_are_written_and_read_where_they_lie"},
    {"weft_chan_give_back", OK, "ring_test.c", "records_are_written_and_read_where_they_lie"},
    {"weft_chan_give_back", "EINVAL", "ring_test.c", "the_halves_are_for_channels_in_place_and_the_wholes_for_the_others"},
    {"weft_chan_give_back", "EBADF", "ring_test.c", "the_halves_are_for_channels_in_place_and_the_wholes_for_the_others"},
    {"weft_chan_claim_as", OK, "ring_test.c", "the_halves_for_bindings_do_what_the_plain_ones_do"},
    {"weft_chan_take_as", OK, "ring_test.c", "the_halves_for_bindings_do_what_the_plain_ones_do"},
    {"weft_chan_claim_start", OK, "ring_test.c", "the_halves_for_bindings_do_what_the_plain_ones_do"},
    {"weft_chan_take_start", OK, "ring_test.c", "the_halves_for_bindings_do_what_the_plain_ones_do"},

    /* ring.h */
    {"weft_chan_ring", OK, "ring_test.c", "a_ring_says_what_it_is"},
    {"weft_ring_release", OK, "ring_test.c", "a_held_ring_outlives_its_channel_and_is_closed"},
    {"weft_chan_sent", OK, "ring_test.c", "every_message_is_received_once_and_in_order_over_all_forms"},
    {"weft_chan_sent", "EPIPE", "ring_test.c", "a_send_that_raced_a_close_was_sent_or_was_not"},
    {"weft_chan_sent", "EBADF", "ring_test.c", "a_held_ring_outlives_its_channel_and_is_closed"},
    {"weft_chan_received", OK, "ring_test.c", "every_message_is_received_once_and_in_order_over_all_forms"},
    {"weft_chan_bind", OK, "ring_test.c", "bind_gives_a_single_end_to_a_binding"},
    {"weft_chan_bind", "EUSERS", "ring_test.c", "bind_gives_a_single_end_to_a_binding"},
    {"weft_chan_bind", "EBADF", "ring_test.c", "bind_gives_a_single_end_to_a_binding"},
    {"weft_chan_bind", "EINVAL", "ring_test.c", "bind_gives_a_single_end_to_a_binding"},

    {"weft_chan_close", OK, "chan_test.c", "closing_twice_is_harmless"},
    {"weft_chan_close", "EBADF", "chan_test.c", "a_freed_channel_is_ebadf_everywhere"},
    {"weft_chan_close", "EPIPE", "chan_test.c", "close_wakes_every_waiting_receiver"},
    {"weft_chan_retain", OK, "chan_test.c", "ends_are_counted"},
    {"weft_chan_retain", "EBADF", "chan_test.c", "a_freed_channel_is_ebadf_everywhere"},
    {"weft_chan_retain", "EINVAL", "chan_test.c", "retain_and_release_refuse_unknown_ends"},
    {"weft_chan_retain", "EPIPE", "chan_test.c", "when_the_last_counted_receiver_is_gone_senders_fail_and_the_buffer_is_lost"},
    {"weft_chan_retain", "ENOSPC", "limits_test.c", "the_last_possible_reference_is_refused_with_enospc"},
    {"weft_chan_release", OK, "chan_test.c", "references_are_counted_and_the_last_release_frees"},
    {"weft_chan_release", "EBADF", "chan_test.c", "references_are_counted_and_the_last_release_frees"},
    {"weft_chan_release", "EINVAL", "chan_test.c", "release_refuses_an_end_that_nobody_is_counted_for"},
    {"weft_chan_mark_set", OK, "chan_test.c", "a_mark_travels_with_the_channel"},
    {"weft_chan_mark_get", OK, "chan_test.c", "a_mark_travels_with_the_channel"},
    {"weft_chan_mark_get", "EBADF", "chan_test.c", "a_mark_travels_with_the_channel"},
    {"weft_chan_mark_get", "EINVAL", "chan_test.c", "a_mark_travels_with_the_channel"},
    {"weft_chan_info", OK, "chan_test.c", "a_new_channel_is_empty_open_and_held_once"},
    {"weft_chan_info", "EBADF", "chan_test.c", "a_new_channel_is_empty_open_and_held_once"},

    /* cgrp.h */
    {"weft_cgrp_create", OK, "cgrp_test.c", "an_empty_group_has_no_event"},
    {"weft_cgrp_create", "ENOSPC", "cgrp_test.c", "the_65536th_group_is_refused_with_enospc_and_then_there_is_room_again"},
    {"weft_cgrp_create", "ENOMEM", "fault_test.c", "creating_a_group_without_memory_is_enomem"},
    {"weft_cgrp_free", OK, "cgrp_test.c", "freeing_a_group_leaves_its_members_alive_and_free_to_join_another"},
    {"weft_cgrp_free", "EBADF", "cgrp_test.c", "a_freed_group_is_ebadf_everywhere"},
    {"weft_cgrp_free", "EBUSY", "cgrp_test.c", "free_refuses_while_events_pend"},
    {"weft_cgrp_add", OK, "cgrp_test.c", "what_is_pending_at_the_time_of_adding_is_reported"},
    {"weft_cgrp_add", "EBADF", "cgrp_test.c", "add_and_remove_of_a_freed_channel_are_ebadf"},
    {"weft_cgrp_add", "EEXIST", "cgrp_test.c", "a_channel_joins_one_group_only"},
    {"weft_cgrp_remove", OK, "cgrp_test.c", "remove_says_whether_an_event_was_pending_and_keeps_the_words"},
    {"weft_cgrp_remove", "EBADF", "cgrp_test.c", "add_and_remove_of_a_freed_channel_are_ebadf"},
    {"weft_cgrp_remove", "ENOENT", "cgrp_test.c", "remove_says_whether_an_event_was_pending_and_keeps_the_words"},
    {"weft_cgrp_wait", OK, "cgrp_test.c", "wait_waits_for_the_first_event"},
    {"weft_cgrp_wait", "EBADF", "cgrp_test.c", "free_wakes_every_waiter_with_ebadf"},
    {"weft_cgrp_wait", "EINTR", "cgrp_test.c", "an_interrupted_group_wait_takes_no_event"},
    {"weft_cgrp_wait_until", "ETIMEDOUT", "cgrp_test.c", "a_wait_times_out_after_its_deadline"},
    {"weft_cgrp_try_wait", "EAGAIN", "cgrp_test.c", "an_empty_group_has_no_event"},


    /* op.h */
    {"weft_chan_send_start", OK, "op_test.c", "what_can_be_done_at_once_is_done_by_the_start"},
    {"weft_chan_send_start", "EINPROGRESS", "op_test.c", "a_started_send_is_under_way_until_it_is_taken"},
    {"weft_chan_send_start", "EINVAL", "op_test.c", "start_refuses_no_op_and_a_misaligned_one"},
    {"weft_chan_send_start", "EAGAIN", "op_test.c", "a_withdrawn_operation_never_happened"},
    {"weft_chan_recv_start", OK, "op_test.c", "what_can_be_done_at_once_is_done_by_the_start"},
    {"weft_chan_recv_start", "EINPROGRESS", "op_test.c", "a_started_receive_is_under_way_until_a_word_comes"},
    {"weft_chan_recv_start", "EINVAL", "op_test.c", "start_refuses_no_op_and_a_misaligned_one"},
    {"weft_cgrp_wait_start", OK, "op_test.c", "a_group_wait_that_is_ready_is_done_by_the_start"},
    {"weft_cgrp_wait_start", "EINPROGRESS", "op_test.c", "a_started_group_wait_is_under_way_until_a_member_is_ready"},
    {"weft_cgrp_wait_start", "EINVAL", "op_test.c", "start_refuses_no_op_and_a_misaligned_one"},
    {"weft_op_poll", OK, "op_test.c", "a_started_receive_is_under_way_until_a_word_comes"},
    {"weft_op_poll", "EINPROGRESS", "op_test.c", "a_started_receive_is_under_way_until_a_word_comes"},
    {"weft_op_wait", OK, "op_test.c", "op_wait_sleeps_until_a_partner_comes"},
    {"weft_op_wait", "ETIMEDOUT", "op_test.c", "op_wait_times_out_and_has_withdrawn_the_operation"},
    {"weft_op_wait", "EPERM", "op_test.c", "an_lwt_on_its_carrier_must_not_sleep_in_the_kernel"},
    {"weft_op_cancel", OK, "op_test.c", "a_withdrawn_operation_never_happened"},
    {"weft_op_cancel", "EALREADY", "op_test.c", "a_completed_operation_cannot_be_withdrawn"},
    {"weft_op_completed", OK, "op_test.c", "tokens_come_in_the_order_of_completion"},
    {"weft_op_completed", "ETIMEDOUT", "op_test.c", "completed_refuses_no_room_and_times_out"},
    {"weft_op_completed", "EINVAL", "op_test.c", "completed_refuses_no_room_and_times_out"},
    {"weft_op_completed", "EBUSY", "op_test.c", "a_second_thread_that_takes_tokens_gets_ebusy"},

    /* select.h */
    {"weft_select", OK, "select_test.c", "one_ready_case_among_others_fires_and_the_others_do_not"},
    {"weft_select", "EINVAL", "select_test.c", "select_refuses_what_is_no_select"},
    {"weft_select", "EBADF", "select_test.c", "a_bad_channel_is_told_of_its_case"},
    {"weft_select", "EUSERS", "select_test.c", "a_single_end_of_somebody_else_is_refused"},
    {"weft_select", "EPIPE", "select_test.c", "the_case_of_a_closed_channel_fires_with_epipe"},
    {"weft_select", "ETIMEDOUT", "select_test.c", "a_deadline_ends_a_select_after_it_has_passed_and_leaves_nothing"},
    {"weft_select", "EINTR", "select_test.c", "an_interrupt_ends_a_select_and_nothing_was_done"},
    {"weft_select", "ENOMEM", "select_test.c", "a_large_select_without_memory_is_enomem_and_a_small_one_needs_none"},
    {"weft_try_select", OK, "select_test.c", "with_one_channel_ready_at_every_moment_the_try_form_fires"},
    {"weft_try_select", "EAGAIN", "select_test.c", "a_select_does_not_meet_itself"},
    {"weft_select_as", OK, "select_test.c", "the_form_for_bindings_does_what_the_plain_one_does"},
    {"weft_select_start", OK, "select_test.c", "a_started_select_is_under_way_until_a_case_completes"},
    {"weft_select_start", "EINPROGRESS", "select_test.c", "a_started_select_is_under_way_until_a_case_completes"},
    {"weft_select_start", "EINVAL", "select_test.c", "select_refuses_what_is_no_select"},
    {"weft_select_finish", OK, "select_test.c", "a_started_select_is_under_way_until_a_case_completes"},
    {"weft_select_finish", "EINPROGRESS", "select_test.c", "a_started_select_is_under_way_until_a_case_completes"},

    /* timer.h */
    {"weft_timer_after", OK, "timer_chan_test.c", "a_moment_is_received_once_and_then_the_channel_is_closed"},
    {"weft_timer_after", "EPIPE", "timer_chan_test.c", "of_several_receivers_one_gets_the_moment_and_the_others_epipe"},
    {"weft_timer_after", "EINVAL", "timer_chan_test.c", "start_refuses_no_place_for_the_handle_and_no_period"},
    {"weft_timer_after", "ENOMEM", "timer_chan_test.c", "without_memory_a_timer_is_enomem"},
    {"weft_timer_after", "ENOSPC", "timer_chan_test.c", "a_full_table_of_channels_is_enospc"},
    {"weft_timer_after", "ENOSPC", "timer_chan_test.c", "where_memory_is_limited_timers_are_fewer_and_too_many_are_enospc"},
    {"weft_timer_after", "EAGAIN", "timer_chan_test.c", "without_a_thread_the_first_timer_is_eagain"},
    {"weft_timer_every", OK, "timer_chan_test.c", "a_thousand_ticks_do_not_drift"},
    {"weft_timer_every", "EINVAL", "timer_chan_test.c", "start_refuses_no_place_for_the_handle_and_no_period"},
    {"weft_timer_missed", OK, "timer_chan_test.c", "a_tick_that_finds_the_last_one_not_taken_is_dropped_and_counted"},
    {"weft_timer_missed", "EBADF", "timer_chan_test.c", "a_freed_channel_is_ebadf_and_one_that_is_no_timers_is_einval"},
    {"weft_timer_missed", "EINVAL", "timer_chan_test.c", "a_freed_channel_is_ebadf_and_one_that_is_no_timers_is_einval"},
    {"weft_timer_stop", OK, "timer_chan_test.c", "a_stopped_timer_sends_nothing_and_its_channel_stays_open"},
    {"weft_timer_stop", "EBADF", "timer_chan_test.c", "a_freed_channel_is_ebadf_and_one_that_is_no_timers_is_einval"},
    {"weft_timer_stop", "EINVAL", "timer_chan_test.c", "a_freed_channel_is_ebadf_and_one_that_is_no_timers_is_einval"},
    {"weft_timer_stop", "EALREADY", "timer_chan_test.c", "a_timer_that_has_fired_can_be_neither_stopped_nor_reset"},
    {"weft_timer_stop", "EALREADY", "timer_chan_test.c", "a_channel_that_was_closed_has_no_timer_to_stop_or_reset"},
    {"weft_timer_reset", OK, "timer_chan_test.c", "reset_brings_a_moment_forward_and_puts_it_off"},
    {"weft_timer_reset", "EBADF", "timer_chan_test.c", "a_freed_channel_is_ebadf_and_one_that_is_no_timers_is_einval"},
    {"weft_timer_reset", "EINVAL", "timer_chan_test.c", "ticks_cannot_be_reset"},
    {"weft_timer_reset", "EALREADY", "timer_chan_test.c", "a_timer_that_has_fired_can_be_neither_stopped_nor_reset"},
};
enum { row_count = sizeof rows / sizeof rows[0] };

static const char *const headers[] = {"error.h", "abi.h", "kthd.h", "lwt.h", "chan.h", "ring.h", "cgrp.h", "op.h", "select.h", "timer.h", NULL};

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* A file by its path from native/test, closed with a zero byte. */
static char *slurp(const char *from_here)
{
    char path[4096];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(path, sizeof path, "%.*s%s", slash ? (int)(slash - __FILE__ + 1) : 0, __FILE__, from_here);
    FILE *file = fopen(path, "re");
    if (!file) {
        check_say("    cannot read %s: run me from the project's root\n", path);
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    REQUIRE(text != NULL);
    size = (long)fread(text, 1, (size_t)size, file);
    text[size] = 0;
    fclose(file);
    return text;
}

static char *slurp_header(const char *header)
{
    char path[256];
    snprintf(path, sizeof path, "../../include/weft/%s", header);
    return slurp(path);
}

static bool word_char(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* The word as a whole word in [text, end), or NULL. */
static const char *find_word(const char *text, const char *end, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = text; at + length <= end; at++)
        if (memcmp(at, word, length) == 0 && (at == text || !word_char(at[-1])) && !word_char(at[length]))
            return at;
    return NULL;
}

/*
 * One step through a header: the next comment that is followed, before the next comment, by declarations of the
 * contract. Gives the comment, and the declarations up to the next comment.
 */
struct piece {
    const char *comment, *comment_end, *end;
};

static bool next_piece(const char **at, struct piece *piece)
{
    for (;;) {
        const char *open = strstr(*at, "/*");
        if (!open)
            return false;
        const char *close = strstr(open, "*/");
        if (!close)
            return false;
        const char *next = strstr(close, "/*");
        *piece = (struct piece){open, close, next ? next : close + strlen(close)};
        *at = piece->end;
        if (find_word(close, piece->end, "WEFT_API"))
            return true;
    }
}

/* The next function declared in [*at, end): its name. */
static bool next_function(const char **at, const char *end, char *function, size_t size)
{
    const char *api = find_word(*at, end, "WEFT_API");
    if (!api)
        return false;
    const char *paren = memchr(api, '(', (size_t)(end - api));
    while (paren && !word_char(paren[-1])) /* WEFT_NORETURN has none, but an attribute would */
        paren = memchr(paren + 1, '(', (size_t)(end - paren - 1));
    REQUIRE(paren != NULL);
    const char *start = paren;
    while (word_char(start[-1]))
        start--;
    snprintf(function, size, "%.*s", (int)(paren - start), start);
    *at = paren;
    return true;
}

static bool next_code(const char **at, const char *end, char *code, size_t size)
{
    for (const char *p = *at; p + 2 < end; p++) {
        if (p[0] != '-' || p[1] != 'E' || !isupper((unsigned char)p[2]))
            continue;
        const char *stop = p + 1;
        while (stop < end && (isupper((unsigned char)*stop) || isdigit((unsigned char)*stop)))
            stop++;
        snprintf(code, size, "%.*s", (int)(stop - p - 1), p + 1);
        *at = stop;
        return true;
    }
    return false;
}

static bool has_row(const char *function, const char *code)
{
    for (int i = 0; i < row_count; i++)
        if (strcmp(rows[i].function, function) == 0 && (!code || strcmp(rows[i].code, code) == 0))
            return true;
    return false;
}

/* ---- holding the table against them ------------------------------------------------------------------------------ */

TEST(every_function_of_the_headers_is_in_the_table)
{
    int functions = 0;
    for (int h = 0; headers[h]; h++) {
        char *text = slurp_header(headers[h]), function[128];
        REQUIRE(text != NULL);
        const char *at = text, *end = text + strlen(text);
        while (next_function(&at, end, function, sizeof function)) {
            functions++;
            if (!has_row(function, NULL)) {
                check_say("    %s: %s has no row\n", headers[h], function);
                check_failures++;
            }
        }
        free(text);
    }
    check_say("    %d functions, %d rows\n", functions, row_count);
    CHECK(functions > 50);
}

TEST(every_error_code_of_the_headers_is_in_the_table)
{
    int codes = 0;
    for (int h = 0; headers[h]; h++) {
        char *text = slurp_header(headers[h]);
        REQUIRE(text != NULL);
        const char *at = text;
        struct piece piece;
        while (next_piece(&at, &piece)) {
            const char *code_at = piece.comment;
            char code[32], function[128];
            while (next_code(&code_at, piece.comment_end, code, sizeof code)) {
                const char *function_at = piece.comment_end;
                bool found = false;
                codes++;
                while (!found && next_function(&function_at, piece.end, function, sizeof function))
                    found = has_row(function, code);
                if (!found) {
                    check_say("    %s: -%s over %s has no row\n", headers[h], code, function);
                    check_failures++;
                }
            }
        }
        free(text);
    }
    check_say("    %d codes\n", codes);
    CHECK(codes > 60);
}

TEST(every_row_names_a_function_of_the_headers)
{
    for (int i = 0; i < row_count; i++) {
        bool found = false;
        for (int h = 0; headers[h] && !found; h++) {
            char *text = slurp_header(headers[h]), function[128];
            REQUIRE(text != NULL);
            const char *at = text, *end = text + strlen(text);
            while (!found && next_function(&at, end, function, sizeof function))
                found = strcmp(function, rows[i].function) == 0;
            free(text);
        }
        if (!found) {
            check_say("    %s is no function of the headers\n", rows[i].function);
            check_failures++;
        }
    }
}

TEST(every_row_names_a_test_whose_file_uses_the_function_and_the_code)
{
    for (int i = 0; i < row_count; i++) {
        const struct row *row = &rows[i];
        char *text = slurp(row->file), code[40];
        if (!CHECK(text != NULL))
            continue;
        const char *end = text + strlen(text);
        snprintf(code, sizeof code, "-%s", row->code);
        const char *test = find_word(text, end, row->test);
        bool right = test && test > text && test[-1] == '(' && find_word(text, end, row->function) &&
                     (strcmp(row->code, OK) == 0 || strstr(text, code));
        if (!right) {
            check_say("    %s %s: no such test in %s, or it names neither\n", row->function, row->code, row->file);
            check_failures++;
        }
        free(text);
    }
}
