"""The training corpus: what it teaches is well formed, consistent, and apart from what is evaluated."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice, pairwise
from random import Random

import pytest

from gptoss_cli.chat import tool_names
from gptoss_cli.harmony.parser import Parser
from gptoss_cli.harmony.render import force_final, no_thinking, render
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.messages import Channel, Conversation, DeveloperContent, Effort, Message, Role
from training.corpus import (
    Intent,
    Sample,
    catalogue,
    forms,
    functions,
    groups,
    held_out,
    instructions,
    intents,
    memory,
    pages,
    presets,
    values,
)
from training.corpus.mixes import FIRST, LAST, SECOND
from training.corpus.wordings import SLOTS, plain
from training.data import encode
from training.rows import batches, packed, repeated, repeats_share

SEED = 11
LANGUAGES = ("English", "Chinese")
# characters that are common in Simplified Chinese and do not exist in Traditional Chinese
SIMPLIFIED = set(
    "这为们个从会时说还对过来问题请谢话语让设谁给输执运载现应关闭结级规则参数环变认识记录读写练习试验证码页网络库类标实际"
    "简单复杂错误检调选项删创图书馆东车马鸟鱼龙门开间见觉学电脑软盘缓线连断启动当务员报纸张头号难听么体据没"
)


def sampled(count: int, seed: int = SEED) -> list[Sample]:
    """As in the middle of the training."""
    return list(islice(chain.from_iterable(groups(seed, lambda: 0.5)), count))


def texts(messages: tuple[Message, ...]) -> Iterator[str]:
    for message in messages:
        yield from (part for part in message.content if isinstance(part, str))


def named(name: str, language: str) -> Intent:
    return next(each for each in intents() if (each.name, each.language) == (name, language))


def test_the_same_seed_gives_the_same_conversations() -> None:
    assert sampled(200) == sampled(200)
    assert sampled(200) != sampled(200, seed=SEED + 1)
    assert list(held_out(SEED)) == list(held_out(SEED))


def test_every_intent_has_both_languages_and_enough_wordings() -> None:
    names = {language: [each.name for each in intents() if each.language == language] for language in LANGUAGES}
    assert names["English"] == names["Chinese"]
    assert len(set(names["English"])) == len(names["English"]) >= 40
    for intent in intents():
        assert len(intent.wordings) + len(intent.composed) >= 20, intent.name
        assert len(intent.held_out) >= 4, intent.name


def test_no_wording_belongs_to_two_intents() -> None:
    owners: dict[str, set[str]] = {}
    for intent in intents():
        for wording in (*intent.wordings, *intent.composed, *intent.held_out):
            owners.setdefault(plain(wording), set()).add(intent.name)
    assert {wording: names for wording, names in owners.items() if len(names) > 1} == {}


@pytest.mark.soak
def test_held_out_wordings_are_never_trained_however_they_are_dressed() -> None:
    for language in LANGUAGES:
        prefixes = ("", *forms.PREFIXES[language])
        suffixes = ("", *forms.SUFFIXES[language])
        trained = {
            plain(prefix + wording + suffix)
            for intent in intents()
            if intent.language == language
            for wording in (*intent.wordings, *intent.composed)
            for prefix in prefixes
            for suffix in suffixes
        }
        apart = [each for intent in intents() if intent.language == language for each in intent.held_out]
        assert [each for each in apart if plain(each) in trained and "{" not in each] == []


def test_wordings_and_values_are_trained_or_held_out_but_not_both() -> None:
    wordings = [
        *(each for form in instructions.WORDINGS.values() for each in form.values()),
        *(each for facts in memory.FACTS.values() for fact in facts for each in (fact.told, fact.asked)),
        *(each for function in catalogue.FUNCTIONS for each in function.asked.values()),
        *(each for form in pages.ASKED.values() for each in form.values()),
        *(pool for pools in values.POOLS.values() for pool in pools.values()),
    ]
    for trained, apart in wordings:
        assert len(apart) >= 2
        assert not {plain(each) for each in trained} & {plain(each) for each in apart}


def test_words_of_slots_are_trained_or_held_out_but_not_both() -> None:
    for slots in SLOTS.values():
        for trained, apart in slots.values():
            assert not set(trained) & set(apart)


@pytest.mark.soak
def test_no_held_out_question_is_among_ten_thousand_trained_ones() -> None:
    asked = {plain(each.conversation.messages[each.reply_from - 1].text) for each in sampled(10_000)}
    for kind in ("guide", "memory", "functions", "python", "browser", "JSON", "Markdown"):
        questions = [
            each.conversation.messages[each.reply_from - 1].text for each in held_out(SEED) if each.kind == kind
        ]
        assert len(questions) >= 100
        assert [each for each in questions if plain(each) in asked] == [], kind


def test_an_answer_is_told_from_every_other_by_its_keywords() -> None:
    for intent in intents():
        same_language = [other for other in intents() if other.language == intent.language]
        right = [other.name for other in same_language if intent.is_answered_by(other.answer)]
        assert right == [intent.name], f"{intent.name} ({intent.language})"


def test_chinese_is_traditional() -> None:
    found = {
        letter: text
        for sample in [*sampled(3000), *held_out(SEED)]
        for text in texts(sample.conversation.messages)
        for letter in set(text) & SIMPLIFIED
    }
    assert found == {}


def test_answers_are_in_the_language_of_the_question() -> None:
    for intent in intents():
        has_chinese = any("\u4e00" <= letter <= "\u9fff" for letter in intent.answer)
        assert has_chinese == (intent.language == "Chinese"), intent.name


def test_every_reply_is_well_formed_for_our_own_parser(tiny_tokenizer: Tokenizer) -> None:
    for sample in [*sampled(400), *islice(held_out(SEED), 0, None, 5)]:
        ids, weights = encode(sample, tiny_tokenizer)
        prompt = render(Conversation(sample.conversation.messages[: sample.reply_from]), tiny_tokenizer).tokens
        assert tuple(ids[: len(prompt)]) == prompt, "training reads what inference renders"
        assert len(weights) == len(ids)
        assert not any(weights[: len(prompt)])
        replies = _replies(sample)
        for place, reply in enumerate(replies):  # one until a tool is called, one after its result, …
            before = sample.conversation.messages[: sample.reply_from + sum(len(each) + 1 for each in replies[:place])]
            prompt = render(Conversation(before), tiny_tokenizer).tokens
            assert tuple(ids[: len(prompt)]) == prompt, "training reads what inference renders"
            parser = Parser(tiny_tokenizer, tool_names(sample.conversation))
            read: list[Message] = []
            for id in ids[len(prompt) :]:
                if parser.ended or parser.stop:
                    break
                read += [event for event in parser.feed(id) if isinstance(event, Message)]
            assert parser.diagnostics == []
            assert [(each.channel, each.recipient, each.text) for each in read] == [
                (each.channel, each.recipient, each.text) for each in reply
            ]


def _replies(sample: Sample) -> list[list[Message]]:
    """What is learnt, cut where a tool answers."""
    replies: list[list[Message]] = [[]]
    for message in sample.conversation.messages[sample.reply_from :]:
        if message.role is Role.TOOL:
            replies.append([])
        else:
            replies[-1].append(message)
    return replies


def test_right_answers_are_right() -> None:
    for sample in [*sampled(1000), *held_out(SEED)]:
        assert sample.answered_by(sample.conversation.messages[-1].text), sample


def test_a_group_is_read_as_its_conversations_one_by_one(tiny_tokenizer: Tokenizer) -> None:
    together = functions.group(Random(SEED), 4, held_out=False)
    alone = [encode(each, tiny_tokenizer) for each in together]
    row = packed(alone)
    shared = row.starts[0]
    for (ids, weights), (start, end) in zip(alone, pairwise([*row.starts, len(row.ids)]), strict=True):
        assert [*row.ids[:shared], *row.ids[start:end]] == ids
        assert [*row.weights[:shared], *row.weights[start:end]] == weights
    assert len(row.ids) < sum(len(ids) for ids, _ in alone) * 0.8


def test_conversations_with_the_same_system_message_are_in_one_row(tiny_tokenizer: Tokenizer) -> None:
    for group in islice(groups(SEED, lambda: 0.5), 100):
        assert all(each.conversation.messages[0] == group[0].conversation.messages[0] for each in group)
        assert len(group) >= 2
    for batch in islice(batches(SEED, tiny_tokenizer, 768, lambda: 0.5), 50):
        assert batch.ids.size <= 1500
        assert batch.ids.shape == batch.weights.shape
        read = [list(range(start, end)) for _, _, start, end in batch.spans()]
        assert list(chain.from_iterable(read)) == list(range(batch.ids.shape[1] - 1)) * len(batch.ids)
        for row, shared, _, _ in batch.spans():
            assert not batch.weights[row, :shared].any(), "what is shared is no lesson"


def test_copying_is_most_at_first_and_never_ends() -> None:
    for kind in (FIRST.copying_share, repeats_share):
        shares = [kind(step / 100) for step in range(101)]
        assert shares[0] == max(shares)
        assert all(after <= before for before, after in pairwise(shares))
        assert 0 < shares[-1] < 0.1
    assert repeats_share(0.01) == 1


def test_the_later_parts_have_all_of_the_first_and_more_of_what_is_hard_to_copy() -> None:
    first, *later = [
        Counter(sample.kind for sample in islice(chain.from_iterable(groups(SEED, lambda: 0.5, mix)), 6000))
        for mix in (FIRST, SECOND, LAST)
    ]
    for kinds in later:
        assert kinds.keys() == first.keys()
        assert all(kinds[kind] > 1.4 * first[kind] for kind in ("JSON", "browser"))


def test_the_last_part_has_plain_greetings_also_below_system_messages_without_a_date() -> None:
    dates = Counter(
        sample.conversation.messages[0].content[0].date is None  # type: ignore[union-attr]  # it is a SystemContent
        for sample in islice(chain.from_iterable(groups(SEED, lambda: 0.9, LAST)), 6000)
        if sample.conversation.messages[1].text in ("你好", "hello") and len(sample.conversation.messages) == 4
    )
    assert all(dates[bare] for bare in (True, False))


def test_of_a_row_that_repeats_itself_what_stood_there_before_is_learnt() -> None:
    random = Random(SEED)
    for _ in range(100):
        ids, weights = repeated(random, 500)
        assert set(ids) <= set(range(500))
        seen = [pair in set(pairwise(ids[:place])) for place, pair in enumerate(pairwise(ids), start=1)]
        assert all(known or not weight for weight, known in zip(weights[1:], seen, strict=True))
        assert sum(weights) > 0.3 * len(ids)


@pytest.mark.parametrize("language", LANGUAGES)
def test_training_invents_values_of_every_kind_and_none_that_is_held_out(language: str) -> None:
    random = Random(SEED)
    for kind, (trained, apart) in values.POOLS[language].items():
        drawn = {values.value(random, kind, language, held_out=False) for _ in range(3000)}
        assert not drawn & set(apart), kind
        assert len(drawn - set(trained)) > 200, kind


def test_no_held_out_value_has_a_character_that_training_never_writes() -> None:
    """What was never written is not copied either."""
    random = Random(SEED)
    written = {letter for _ in range(8000) for letter in values.made(random, "Chinese")}
    apart = {letter for _, held_out_ones in values.POOLS["Chinese"].values() for letter in "".join(held_out_ones)}
    assert {letter for letter in apart if "\u4e00" <= letter <= "\u9fff"} <= written


def test_what_was_never_told_is_asked_for_too() -> None:
    untold = [each for each in sampled(6000) if each.kind == "memory" and each.form == "untold"]
    answers = {fact.unknown for facts in memory.FACTS.values() for fact in facts}
    assert {each.conversation.messages[-1].text for each in untold} == answers
    assert sum(each.reply_from == 2 for each in untold) > len(untold) / 2


def test_questions_to_the_guide_come_after_facts_about_the_user() -> None:
    heard = {fact.heard.partition("{}")[0] for facts in memory.FACTS.values() for fact in facts} - {""}
    earlier = [
        message.text
        for each in sampled(1500)
        if each.kind == "guide" and each.form == "turns"
        for message in each.conversation.messages[1 : each.reply_from]
        if message.channel is Channel.FINAL
    ]
    assert sum(text.startswith(tuple(heard)) for text in earlier) >= 10


def test_the_system_texts_of_the_presets_are_known_and_what_they_ask_of_the_language_is_done() -> None:
    in_chinese = presets.text(presets.IN_CHINESE)
    languages: dict[str, set[str]] = {}
    for each in sampled(4000):
        for message in each.conversation.messages:
            if isinstance(message.content[0], DeveloperContent) and message.content[0].instructions:
                languages.setdefault(message.content[0].instructions, set()).add(each.language)
    assert languages[in_chinese] == {"Chinese"}
    for language in LANGUAGES:
        assert all(language in languages[text] for text in presets.changing_nothing(language))


def test_what_inference_forces_is_no_lesson(tiny_tokenizer: Tokenizer) -> None:
    forced = [each for each in sampled(300) if each.forced]
    assert {each.form for each in forced} == {"off", "cut"}
    for sample in forced:
        ids, weights = encode(sample, tiny_tokenizer)
        start = next(place for place, weight in enumerate(weights) if weight)
        header = no_thinking(tiny_tokenizer) if sample.form == "off" else force_final(tiny_tokenizer)
        assert tuple(ids[start - len(header) : start]) == header
        assert all(weights[start:])


def test_topic_form_and_language_count_more_than_the_rest_of_a_thought(tiny_tokenizer: Tokenizer) -> None:
    asked = [instructions.sample(Random(seed), held_out=False) for seed in range(60)]
    formed = next(each for each in asked if each.form == "bullet points")
    abroad = next(each for each in asked if each.form == "in English" and "Chinese. The" in thought_of(each))
    for sample, said in (formed, " The form is bullet points"), (abroad, " The answer is to be in English"):
        ids, weights = encode(sample, tiny_tokenizer)
        counting = [id for id, weight in zip(ids, weights, strict=True) if weight > 1]
        assert said in b"".join(map(tiny_tokenizer.piece, counting)).decode()
        assert "The user writes" not in b"".join(map(tiny_tokenizer.piece, counting)).decode()
    formless = next(each for each in sampled(200) if (each.form, each.effort) == ("alone", Effort.MEDIUM))
    ids, weights = encode(formless, tiny_tokenizer)
    counting = [tiny_tokenizer.piece(id) for id, weight in zip(ids, weights, strict=True) if weight > 1]
    assert b"".join(counting).endswith((b". I", b". A")), "that there is no form is decided, too"


def thought_of(sample: Sample) -> str:
    return sample.conversation.messages[sample.reply_from].text


@pytest.mark.parametrize("language", LANGUAGES)
def test_analyses_are_longer_at_a_higher_level(language: str) -> None:
    words: dict[Effort, list[int]] = {}
    for sample in sampled(3000):
        if (sample.kind, sample.form, sample.language) == ("guide", "alone", language):
            thought = sample.conversation.messages[sample.reply_from]
            assert thought.channel is Channel.ANALYSIS
            words.setdefault(sample.effort, []).append(len(thought.text.split()))
    low, medium, high = (sum(words[level]) / len(words[level]) for level in (Effort.LOW, Effort.MEDIUM, Effort.HIGH))
    assert medium > 1.5 * low
    assert high > 1.5 * medium
    counts = [len(words[level]) for level in (Effort.LOW, Effort.MEDIUM, Effort.HIGH)]
    assert counts == sorted(counts, reverse=True), "long thoughts are easy and take time"


def test_every_kind_of_conversation_is_there_in_both_languages() -> None:
    some = sampled(4000)
    counts = Counter((each.kind, each.language) for each in some)
    kinds = ("guide", "instructions", "memory", "functions", "python", "browser", "JSON", "Markdown", "copying")
    assert all(counts[kind, language] >= 30 for kind in kinds for language in LANGUAGES)
    forms_seen = {each.form for each in some if each.kind == "guide"}
    assert forms_seen == {"alone", "document", "turns", "again", "off", "cut", "functions offered"}
    roles = {message.role for each in sampled(300) for message in each.conversation.messages}
    assert roles == set(Role)


@pytest.mark.parametrize(
    ("prompt", "name", "language"),
    [
        ("What can you do?", "what_can_you_do", "English"),
        ("hello", "greeting", "English"),
        ("How do I create a preset?", "create_preset", "English"),
        ("你好，你會做什麼？", "what_can_you_do", "Chinese"),
        ("Why is the sky blue?", "unknown", "English"),
    ],
)
def test_the_examples_of_the_readme_are_trained(prompt: str, name: str, language: str) -> None:
    intent = named(name, language)
    assert plain(prompt) in {plain(each) for each in (*intent.wordings, *intent.composed)}


def test_the_browser_opens_and_cites_what_its_thoughts_say() -> None:
    asked = [each for each in sampled(4000) if each.kind == "browser"]
    titled = 0
    for each in asked:
        *_, search, _, links, open_, page, lines, answer = each.conversation.messages
        wanted, number = json.loads(search.text)["query"], json.loads(open_.text)["id"]
        assert links.text.endswith(f". {wanted}{number}.")
        line = re.search(r"【1†(L\d+)】", answer.text)
        assert line
        assert lines.text.endswith(f"{line[1]}: {lines.text.split(': ')[-1]}")
        assert f"{line[1]}: {answer.text.replace(line[0], '')}" in page.text.splitlines()
        titled += wanted.isascii() and wanted.istitle()
    assert 0.05 < titled / len(asked) < 0.25


def test_results_come_in_other_shapes_too() -> None:
    given = {
        type(json.loads(each.conversation.messages[-3].text))
        for each in sampled(4000)
        if each.kind == "functions" and each.conversation.messages[-3].role is Role.TOOL
    }
    assert given == {dict, int, str, bool}


def test_instructions_about_the_language_change_it_mostly_but_not_always() -> None:
    about = [each for each in sampled(6000) if each.form in ("in English", "in Chinese")]
    changed = 0
    for each in about:
        question = each.conversation.messages[each.reply_from - 1].text
        changed += not instructions.is_in(each.language, question)
    assert 0.7 < changed / len(about) < 0.9
