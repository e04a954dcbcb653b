//! Every abuse of the list: what plays it, what is answered, and the tests that show it.

/// One abuse.
pub(super) struct Case {
    /// Its number on the list.
    pub(super) number: usize,
    /// What is tried.
    pub(super) name: &'static str,
    /// By which component of `tests/hostile`, or from which side.
    pub(super) by: &'static str,
    /// What is answered.
    pub(super) answer: &'static str,
    /// What the tests leave open.
    pub(super) open: &'static str,
    /// File and test.
    pub(super) tests: &'static [(&'static str, &'static str)],
}

const NETWORK: &str = "runtime/src/network/tests.rs";
const EGRESS: &str = "runtime/src/network/tests/egress.rs";
const GUARD: &str = "runtime/src/network/guard.rs";
const MANIFEST: &str = "runtime/src/manifest/tests.rs";
const GRANT: &str = "runtime/src/grant/tests.rs";
const REACH: &str = "tests/tests/hostile_reach.rs";
const HOSTILE: &str = "tests/tests/hostile.rs";
const DUMP: &str = "tests/tests/hostile_dump.rs";
const INSTALL: &str = "tests/tests/hostile_install.rs";
const FLOOD: &str = "tests/tests/hostile_flood.rs";
const MANY: &str = "tests/tests/hostile_many.rs";
const RETRY: &str = "runtime/src/retry/tests.rs";
const TRUST: &str = "tests/tests/trust.rs";
const LASTING: &str = "tests/tests/trust_lasting.rs";
const SIGNED: &str = "runtime/src/trust/tests.rs";
const REGISTRY: &str = "runtime/src/registry/tests.rs";
const THREADS: &str = "runtime/src/threads/tests.rs";
const LIVE: &str = "runtime/src/account/tests/live.rs";
const SECRET: &str = "tests/tests/command_secret.rs";
const CONFORMANCE: &str = "tests/tests/conformance.rs";
const LOCAL: &str = "tests/tests/local.rs";
const FUZZ: &str = "fuzz/tests/short.rs";
const GRANTED: &str = "tests/tests/grant.rs";

const fn case(
    number: usize,
    name: &'static str,
    by: &'static str,
    answer: &'static str,
    open: &'static str,
    tests: &'static [(&'static str, &'static str)],
) -> Case {
    Case { number, name, by, answer, open, tests }
}

/// All of them, in the order of the list.
pub(super) const CASES: &[Case] = &[
    case(
        1,
        "a host that is not granted",
        "`reach`",
        "denied, rule `unknown-route`; nothing is resolved or sent",
        "",
        &[
            (REACH, "onedrive_keeps_a_connector_in_its_directory"),
            (REACH, "dropbox_keeps_a_connector_in_its_directory"),
            (EGRESS, "what_is_no_name_is_not_even_looked_up"),
        ],
    ),
    case(
        2,
        "a host that looks like a granted one",
        "manifest",
        "the manifest is refused; no text of a guest is an address",
        "",
        &[
            (MANIFEST, "what_does_not_hold_together_is_refused"),
            (MANIFEST, "wildcards_cover_what_lies_below_and_nothing_else"),
            (GUARD, "only_names_under_https_are_hosts"),
        ],
    ),
    case(
        3,
        "wildcards stretched",
        "manifest",
        "what lies below the domain and nothing else; `*.com`, `*.co.uk` and `*.github.io` are refused",
        "the list of public suffixes is that of the day of the release",
        &[
            (MANIFEST, "wildcards_end_where_strangers_register"),
            (MANIFEST, "wildcards_cover_what_lies_below_and_nothing_else"),
            (MANIFEST, "what_does_not_hold_together_is_refused"),
        ],
    ),
    case(
        4,
        "right host, wrong port or scheme",
        "manifest, upstream",
        "refused: https on its own port only",
        "",
        &[
            (MANIFEST, "what_does_not_hold_together_is_refused"),
            (EGRESS, "what_is_no_name_is_not_even_looked_up"),
            (GUARD, "only_names_under_https_are_hosts"),
        ],
    ),
    case(
        5,
        "a name that resolves to an inner address",
        "resolver",
        "refused before anything is dialled",
        "",
        &[
            (EGRESS, "an_answer_that_leads_inside_is_not_dialled"),
            (GUARD, "addresses_that_lead_anywhere_but_the_internet_are_forbidden"),
        ],
    ),
    case(
        6,
        "the same address in translation",
        "resolver",
        "refused: mapped, compatible, NAT64, 6to4, Teredo",
        "",
        &[
            (GUARD, "addresses_that_lead_anywhere_but_the_internet_are_forbidden"),
            (EGRESS, "an_answer_that_leads_inside_is_not_dialled"),
        ],
    ),
    case(
        7,
        "addresses spelt oddly",
        "request",
        "refused, and not even looked up",
        "",
        &[
            (EGRESS, "what_is_no_name_is_not_even_looked_up"),
            (MANIFEST, "what_does_not_hold_together_is_refused"),
        ],
    ),
    case(
        8,
        "an answer that changes",
        "resolver",
        "what was vetted is what is dialled, each time anew",
        "",
        &[(EGRESS, "an_answer_is_vetted_each_time_and_dialled_as_it_was_vetted")],
    ),
    case(
        9,
        "one bad address among good ones",
        "resolver",
        "the whole answer is refused",
        "",
        &[
            (GUARD, "one_bad_address_refuses_the_answer"),
            (EGRESS, "an_answer_that_leads_inside_is_not_dialled"),
        ],
    ),
    case(
        10,
        "a redirect elsewhere",
        "upstream",
        "never followed; the connector gets the 3xx, its address a sealed handle",
        "",
        &[(NETWORK, "replies_are_passed_on_as_they_are"), (DUMP, "a_reply_that_echoes_the_token_is_cleaned")],
    ),
    case(
        11,
        "a redirect to a granted host",
        "upstream",
        "never followed, so no header goes along",
        "",
        &[(NETWORK, "replies_are_passed_on_as_they_are"), (CONFORMANCE, "onedrive_for_business")],
    ),
    case(
        12,
        "a pre-signed address",
        "emulators",
        "sent without the token; the emulators watch for it in every test",
        "",
        &[
            (GRANT, "handles_are_good_for_their_route_only"),
            (CONFORMANCE, "onedrive_for_business"),
            (CONFORMANCE, "dropbox"),
        ],
    ),
    case(
        13,
        "headers that smuggle",
        "`reach`",
        "refused, rule `header`; nothing is sent",
        "",
        &[
            (REACH, "onedrive_keeps_a_connector_in_its_directory"),
            (REACH, "dropbox_keeps_a_connector_in_its_directory"),
            (GRANT, "only_what_the_route_permits_is_sent"),
        ],
    ),
    case(
        14,
        "a token of its own",
        "`reach`",
        "refused, rule `header`",
        "",
        &[
            (REACH, "onedrive_keeps_a_connector_in_its_directory"),
            (REACH, "dropbox_keeps_a_connector_in_its_directory"),
            (REACH, "a_manifest_cannot_offer_the_header_of_its_own_arguments"),
        ],
    ),
    case(
        15,
        "out of the method or the path",
        "`reach`",
        "denied; what was checked is what is sent",
        "",
        &[
            (REACH, "onedrive_keeps_a_connector_in_its_directory"),
            (REACH, "dropbox_keeps_a_connector_in_its_directory"),
            (GRANT, "items_cannot_leave_the_backup_directory"),
            (GRANT, "no_item_escapes"),
            (GRANT, "a_path_that_a_service_decodes_stays_inside"),
            (GRANT, "no_decoded_path_escapes"),
            (REACH, "a_method_that_writes_cannot_be_declared_to_read"),
        ],
    ),
    case(
        16,
        "secrets carried out in addresses",
        "`reach`",
        "lengths of address, query and headers are bounded, requests counted, no host is named",
        "what fits those bounds and the granted service can be carried to that service",
        &[
            (REACH, "onedrive_keeps_a_connector_in_its_directory"),
            (REACH, "dropbox_keeps_a_connector_in_its_directory"),
            (REACH, "ten_thousand_requests_are_all_an_operation_gets"),
        ],
    ),
    case(
        17,
        "raw sockets",
        "component",
        "not installed: the import is refused by name",
        "",
        &[(INSTALL, "what_is_no_sound_connector_is_refused_with_a_reason")],
    ),
    case(
        18,
        "another protocol, another address",
        "upstream",
        "101 and `Alt-Svc` are not honoured; `upgrade` and `:authority` are refused",
        "",
        &[
            (NETWORK, "an_upgrade_and_an_alternative_are_not_taken"),
            (REACH, "dropbox_keeps_a_connector_in_its_directory"),
        ],
    ),
    case(
        19,
        "a proxy in the environment",
        "environment",
        "ignored",
        "",
        &[(NETWORK, "the_environment_sets_no_proxy")],
    ),
    case(
        20,
        "certificates and connections",
        "upstream",
        "a wrong name or an unknown issuer is refused; accounts share no connection",
        "an expired certificate and an old version are left to rustls, which has none of them",
        &[
            (NETWORK, "who_cannot_prove_its_name_is_not_reached"),
            (NETWORK, "pools_share_connections_with_themselves_only"),
            (SECRET, "a_certificate_that_nobody_vouches_for"),
        ],
    ),
    case(
        21,
        "a search through its memory",
        "`dump`",
        "no token, no secret, no address in it",
        "",
        &[(DUMP, "onedrive_tells_a_component_no_secret"), (DUMP, "dropbox_tells_a_component_no_secret")],
    ),
    case(
        22,
        "a service that echoes the token",
        "upstream",
        "cleaned in every place and disguise",
        "",
        &[
            (DUMP, "a_reply_that_echoes_the_token_is_cleaned"),
            (DUMP, "a_damaged_reply_is_cleaned_too"),
            (DUMP, "a_reply_within_a_reply_is_cleaned_too"),
            (DUMP, "a_token_in_disguise_is_cleaned_too"),
        ],
    ),
    case(
        23,
        "places for the token, in the body",
        "`dump`",
        "stays what it wrote",
        "",
        &[(DUMP, "nothing_that_looks_like_a_place_for_the_token_is_filled")],
    ),
    case(
        24,
        "what belongs to another destination",
        "`reach`, `dump`",
        "denied, rule `handle`",
        "",
        &[
            (REACH, "onedrive_keeps_a_connector_in_its_directory"),
            (GRANT, "handles_are_good_for_their_route_only"),
        ],
    ),
    case(
        25,
        "the token endpoint",
        "`reach`",
        "no route leads there; only the host has what it takes",
        "",
        &[
            (REACH, "onedrive_keeps_a_connector_in_its_directory"),
            (REACH, "dropbox_keeps_a_connector_in_its_directory"),
            (DUMP, "onedrive_tells_a_component_no_secret"),
        ],
    ),
    case(
        26,
        "a loop on 401",
        "token endpoint",
        "one refresh for all",
        "",
        &[(LIVE, "a_connector_that_loops_on_401_gets_one_refresh"), (LIVE, "many_wait_for_one_refresh")],
    ),
    case(
        27,
        "secrets in logs and files",
        "command",
        "none in any output or file",
        "a core dump is the system's to forbid",
        &[
            (SECRET, "no_secret_is_anywhere"),
            (SECRET, "no_secret_of_a_sign_in_is_anywhere"),
            ("runtime/src/secret.rs", "a_secret_prints_as_stars"),
        ],
    ),
    case(
        28,
        "computing for ever",
        "`spin`, `toil`",
        "ended by its budget",
        "",
        &[
            (HOSTILE, "an_abuse_ends_its_own_operation_and_nothing_else"),
            (HOSTILE, "a_guest_cannot_keep_the_host_computing"),
        ],
    ),
    case(
        29,
        "computing before it is called, or after it has answered",
        "`begin`, `linger`",
        "ended by the same budget",
        "there is no p3",
        &[(HOSTILE, "an_abuse_ends_its_own_operation_and_nothing_else")],
    ),
    case(
        30,
        "memory and tables",
        "`grow`",
        "refused growth; sixteen at once keep to their memory",
        "",
        &[
            (HOSTILE, "an_abuse_ends_its_own_operation_and_nothing_else"),
            (MANY, "sixteen_at_once_keep_to_their_memory_and_their_neighbour_works"),
        ],
    ),
    case(
        31,
        "a stack that overflows",
        "`recurse`",
        "a trap, and the next operation works",
        "",
        &[(HOSTILE, "an_abuse_ends_its_own_operation_and_nothing_else")],
    ),
    case(
        32,
        "lists and texts without end",
        "`huge`",
        "a trap, or refused",
        "",
        &[
            (HOSTILE, "an_abuse_ends_its_own_operation_and_nothing_else"),
            (HOSTILE, "a_listing_is_checked"),
            (HOSTILE, "other_answers_are_checked"),
        ],
    ),
    case(
        33,
        "handles",
        "`leak`, `hoard`",
        "bounded; those that are used up trap",
        "",
        &[(HOSTILE, "open_downloads_and_handles_are_bounded")],
    ),
    case(
        34,
        "headers by the thousand, random bytes by the gigabyte",
        "`huge`, `thirst`",
        "headers are pairs of texts under the same bound; random bytes have one of their own, and asking for ever ends",
        "",
        &[(HOSTILE, "an_abuse_ends_its_own_operation_and_nothing_else")],
    ),
    case(
        35,
        "requests without end",
        "`requests`, `hoard`",
        "counted; open replies are bounded; permits return",
        "",
        &[
            (HOSTILE, "an_abuse_ends_its_own_operation_and_nothing_else"),
            (REACH, "ten_thousand_requests_are_all_an_operation_gets"),
            (HOSTILE, "open_downloads_and_handles_are_bounded"),
        ],
    ),
    case(
        36,
        "a trickle, either way",
        "upstream",
        "left after the stall; who is merely slow is waited for",
        "",
        &[(NETWORK, "whoever_stands_still_is_left"), (NETWORK, "whoever_is_slow_is_waited_for")],
    ),
    case(
        37,
        "a reply that explodes",
        "upstream",
        "not unpacked; length and headers bounded in both versions of HTTP",
        "resets and continuations in a row are left to h2's own limits",
        &[
            (NETWORK, "a_reply_has_its_limits"),
            (NETWORK, "the_second_version_has_the_same_limits"),
            (NETWORK, "replies_are_passed_on_as_they_are"),
        ],
    ),
    case(
        38,
        "a flood of log lines",
        "`flood`",
        "bounded, escaped, signed",
        "",
        &[
            (FLOOD, "a_log_stays_small_and_harmless"),
            (HOSTILE, "an_abuse_ends_its_own_operation_and_nothing_else"),
        ],
    ),
    case(
        39,
        "sleeping",
        "`sleep`",
        "ended by its wall clock",
        "",
        &[(HOSTILE, "an_abuse_ends_its_own_operation_and_nothing_else")],
    ),
    case(
        40,
        "retries upon retries",
        "`nonsense`, upstream",
        "claimed patience is clamped and spends the one budget",
        "",
        &[
            (HOSTILE, "claimed_patience_is_bounded"),
            (RETRY, "a_service_that_always_asks_for_a_second_is_given_up"),
            (RETRY, "any_retry_after_is_none_or_within_bounds"),
            ("tests/tests/storm.rs", "ten_minutes_of_429_and_503_lose_no_file_and_break_no_retry_after"),
        ],
    ),
    case(
        41,
        "more threads than its destination has",
        "`hoard`",
        "one limit over all processes of the machine",
        "",
        &[
            ("runtime/src/threads/tests/soak.rs", "ten_tasks_in_three_processes_share_four_threads"),
            (THREADS, "the_limit_is_the_machine_s"),
            (HOSTILE, "open_downloads_and_handles_are_bounded"),
        ],
    ),
    case(
        42,
        "a component that takes minutes to compile",
        "component",
        "refused before it is compiled: functions, their size, parts, types and bytes are bounded",
        "it is compiled in this process, not in one of its own",
        &[(MANY, "what_takes_too_long_to_compile_is_refused_unread")],
    ),
    case(
        43,
        "a component that was changed",
        "file",
        "refused before it is read beyond its hash",
        "",
        &[
            (TRUST, "what_was_changed_is_refused"),
            (TRUST, "what_nobody_trusted_signed_is_refused_unread"),
            (REGISTRY, "a_component_that_was_changed_is_not_used"),
        ],
    ),
    case(
        44,
        "another key, another time, another name",
        "bundle",
        "refused, with the key",
        "",
        &[
            (TRUST, "a_publisher_signs_what_is_theirs"),
            (TRUST, "a_key_is_good_for_a_time"),
            (LASTING, "a_revoked_key_stops_what_it_signed"),
        ],
    ),
    case(
        45,
        "a signature of something else",
        "bundle",
        "refused",
        "",
        &[
            (SIGNED, "a_statement_vouches_for_one_artefact_in_one_way"),
            (SIGNED, "a_bundle_of_another_form_is_refused"),
            (SIGNED, "damage_is_refused"),
        ],
    ),
    case(
        46,
        "a registry that lies",
        "none",
        "components come from files; there is no client of registries that could be led astray; the bytes that were verified are those that are kept and run",
        "",
        &[(TRUST, "what_was_changed_is_refused"), (TRUST, "a_folder_is_installed_whole_or_not_at_all")],
    ),
    case(
        47,
        "an old version",
        "file",
        "refused",
        "",
        &[
            (LASTING, "versions_go_forward"),
            (REGISTRY, "no_two_have_one_type_and_nothing_goes_back"),
            (REGISTRY, "a_signed_version_has_one_content_for_ever"),
        ],
    ),
    case(
        48,
        "a revocation that is withheld",
        "list",
        "a list that goes back or is damaged is refused",
        "a list does not expire: who never gets one is not warned",
        &[
            (LASTING, "a_publishers_list_takes_back_components_and_keys"),
            (SIGNED, "a_list_that_is_none_is_refused"),
        ],
    ),
    case(
        49,
        "an update that wants more",
        "file",
        "the version before it goes on",
        "",
        &[
            (GRANTED, "an_update_that_asks_for_more_waits_until_somebody_agrees"),
            (GRANT, "a_route_that_became_wider_is_not_in_force_until_somebody_agrees"),
        ],
    ),
    case(
        50,
        "a manifest that does not fit",
        "component",
        "refused, in words that repaint no terminal",
        "",
        &[
            (INSTALL, "what_is_no_sound_connector_is_refused_with_a_reason"),
            (MANIFEST, "what_does_not_hold_together_is_refused"),
            (MANIFEST, "a_key_that_occurs_twice_is_refused"),
            (LOCAL, "who_does_not_ask_for_a_folder_gets_none"),
        ],
    ),
    case(
        51,
        "compiled code that was touched",
        "file",
        "never loaded: compiled again",
        "",
        &[
            (INSTALL, "a_poisoned_artefact_is_replaced"),
            (REGISTRY, "an_artefact_that_was_touched_never_comes_back"),
        ],
    ),
    case(
        52,
        "names that are paths",
        "manifest, `burrow`",
        "refused; no link leads out of a folder",
        "",
        &[
            ("runtime/src/home/name.rs", "names_are_short_and_plain"),
            (LOCAL, "nobody_gets_out_of_the_folder"),
            (MANIFEST, "what_does_not_hold_together_is_refused"),
        ],
    ),
    case(
        53,
        "a kill within an install",
        "process",
        "the old version or the new one",
        "",
        &[
            (REGISTRY, "a_crash_leaves_the_old_version_or_the_new"),
            (TRUST, "a_folder_is_installed_whole_or_not_at_all"),
        ],
    ),
    case(
        54,
        "a change under a running transfer",
        "operator",
        "in force from the next request on",
        "",
        &[
            (GRANTED, "a_running_transfer_is_held_to_what_is_taken_back"),
            (GRANTED, "a_running_transfer_ends_when_its_destination_is_disabled"),
            (LASTING, "a_running_copy_stops_at_the_next_operation"),
        ],
    ),
    case(
        55,
        "memory that outlives an operation",
        "`canary`",
        "empty each time",
        "",
        &[(HOSTILE, "every_operation_begins_with_an_empty_memory")],
    ),
    case(
        56,
        "imports from elsewhere",
        "component, `dump`",
        "refused by name; what WASI is linked is empty",
        "",
        &[
            (INSTALL, "what_is_no_sound_connector_is_refused_with_a_reason"),
            (DUMP, "onedrive_tells_a_component_no_secret"),
        ],
    ),
    case(
        57,
        "clocks and the environment",
        "`dump`",
        "whole milliseconds; no variable, argument or file",
        "",
        &[
            ("runtime/src/sandbox/clock.rs", "guests_see_whole_milliseconds_only"),
            (DUMP, "dropbox_tells_a_component_no_secret"),
        ],
    ),
    case(
        58,
        "breaking down and nonsense",
        "`trap`, `panic`, `nonsense`, `liar`",
        "a typed error of its own operation, and one record of the audit that says so; what it says of the service is checked",
        "",
        &[
            (HOSTILE, "an_abuse_ends_its_own_operation_and_nothing_else"),
            (HOSTILE, "a_false_report_is_no_copy"),
            (HOSTILE, "what_was_never_sent_is_no_copy"),
            (HOSTILE, "no_message_turns_the_text_around_it"),
        ],
    ),
    case(
        59,
        "breaking down with a permit",
        "`trap`, `hoard`",
        "the permit returns",
        "",
        &[
            (HOSTILE, "an_abuse_ends_its_own_operation_and_nothing_else"),
            (THREADS, "one_that_gives_up_waiting_keeps_nobody_waiting"),
            (MANY, "sixteen_at_once_keep_to_their_memory_and_their_neighbour_works"),
        ],
    ),
    case(
        60,
        "parsers under random input",
        "generators",
        "no panic; bounds hold. Thirteen targets run from seeds in each test run, and with coverage by `cargo xtask fuzz`",
        "wasmtime's own programs are not run",
        &[
            (FUZZ, "every_target_is_run"),
            (FUZZ, "a_fault_is_found"),
            (SIGNED, "no_bytes_are_a_bundle"),
            (RETRY, "any_number_is_within_bounds"),
            (GRANT, "no_item_escapes"),
        ],
    ),
    case(
        61,
        "an install that is led inside",
        "none",
        "components come from files; there is no client of registries that could be led astray; whatever is fetched goes through the one guarded network",
        "",
        &[(EGRESS, "an_answer_that_leads_inside_is_not_dialled")],
    ),
    case(
        62,
        "an index with thousands of bundles",
        "none",
        "components come from files; there is no client of registries that could be led astray; a bundle is one file beside the component, of a bounded size",
        "",
        &[
            (SIGNED, "a_bundle_of_another_form_is_refused"),
            (TRUST, "a_folder_is_installed_whole_or_not_at_all"),
        ],
    ),
];
