"""The language in which gptoss talks to a person: English, or Traditional Chinese as used in Taiwan.

Questions, notices, progress and headings only. Error messages and whatever programs read stay English.
"""

from collections.abc import Mapping

AUTO, ENGLISH, TAIWAN = "auto", "en", "zh-TW"
LANGUAGES = (AUTO, ENGLISH, TAIWAN)

# English format string -> the same in Traditional Chinese, with the same fields
CHINESE = {
    # progress and thoughts
    "Loading": "載入模型",
    "Reading the prompt": "讀取提示",
    "Converting": "轉換",
    "Thinking {seconds:.0f}s {dot} {tokens} tok": "思考 {seconds:.0f} 秒 {dot} {tokens} 個詞元",
    "Thought for {seconds:.1f} s": "思考了 {seconds:.1f} 秒",
    "Waiting for another command": "等待另一個指令",
    # notices
    "line {number}: ": "第 {number} 行：",
    "another command uses this model; waiting": "另一個指令正在使用這個模型；等待中",
    "the model does not stay loaded: {problem} "
    "(set XDG_RUNTIME_DIR to a private folder of yours; --keep-alive 0 says nothing)": (
        "模型不會保持載入：{problem}（請將 XDG_RUNTIME_DIR 設為你自己的私人資料夾；加上 --keep-alive 0 就不再提示）"
    ),
    "the process that had the model loaded did not answer and was replaced": (
        "先前載入模型的程序沒有回應，已換成新的程序"
    ),
    "thoughts cut at {count} tokens (--max-thinking)": "思考到 {count} 個詞元為止（--max-thinking）",
    "answer cut at {count} tokens (--max-tokens)": "回答到 {count} 個詞元為止（--max-tokens）",
    "answer cut: the context of {count} tokens is full (--num-ctx)": (
        "回答中斷：{count} 個詞元的上下文已滿（--num-ctx）"
    ),
    "tiny is a toy of a few megabytes that knows gptoss and little else": (
        "tiny 是只有幾 MB 的玩具模型，除了 gptoss 幾乎什麼都不懂"
    ),
    "no gpt-oss model on this machine, so the built-in one answers: {toy}": (
        "這台電腦上沒有 gpt-oss 模型，所以由內建的模型回答：{toy}"
    ),
    "waiting for standard input (-n leaves it alone)": "正在等待標準輸入（加上 -n 就不讀）",
    "created {name}": "已建立 {name}",
    "{file} is fine": "{file} 沒有問題",
    "copied {source} to {target}": "已將 {source} 複製為 {target}",
    "removed {name}": "已移除 {name}",
    "removed {name}, {size} freed": "已移除 {name}，釋出 {size}",
    "Remove {name} and free {size}?": "要移除 {name} 並釋出 {size} 嗎？",
    "Delete this and free {size}?": "要刪除這些並釋出 {size} 嗎？",
    "nothing to delete": "沒有可以刪除的東西",
    "{size} would be freed": "可以釋出 {size}",
    "{size} freed": "已釋出 {size}",
    # fetching
    "{name} is not on this machine": "{name} 不在這台電腦上",
    "no gpt-oss model on this machine yet": "這台電腦上還沒有 gpt-oss 模型",
    "Fetch it?": "要下載嗎？",
    "Fetch which? (a number, or n for none)": "要下載哪一個？（輸入號碼，n 表示不要）",
    "gptoss pull {name} fetches it later": "之後可以用 gptoss pull {name} 下載",
    "{name}: {size} from {repository}": "{name}：{size}，來自 {repository}",
    ", {size} of it here already": "，其中 {size} 已在這裡",
    "{name} is here: {path}": "{name} 在這裡：{path}",
    "stopped; {size} kept: {command} goes on from there": "已停止；保留了 {size}：{command} 會從那裡繼續",
    "Remove {name}?": "要移除 {name} 嗎？",
    "Remove these {count} chats?": "要移除這 {count} 段對話嗎？",
    # gptoss import
    "skipped: {problem}": "略過：{problem}",
    "registered": "已登記",
    "converted": "已轉換",
    "already here": "原本就有",
    # gptoss ps, stop
    "MEMORY": "記憶體",
    "CONTEXT": "上下文",
    "UNTIL": "保留",
    "in use": "使用中",
    "forever": "永久",
    "in {time}": "{time} 後結束",
    "does not answer": "沒有回應",
    "stopped {name}": "已停止 {name}",
    # gptoss config
    "{name} = {value} in {file}": "{name} = {value}，已寫入 {file}",
    "{name} is no longer set in {file}": "{file} 裡不再設定 {name}",
    "{name} was not set in {file}": "{file} 裡沒有設定 {name}",
    "{origin} goes before it: {name} is {value}": "但 {origin} 優先：{name} 目前是 {value}",
    # the chat
    "Send a message (/? for help)": "輸入訊息（/? 看說明）",
    "Ctrl-D or /bye leaves; Ctrl-C once more, too": "Ctrl-D 或 /bye 離開；再按一次 Ctrl-C 也行",
    "loading": "載入中",
    "not loaded": "未載入",
    "stopped": "已停止",
    "stopped; the conversation is as it was": "已停止；對話維持原樣",
    "stopped; /continue goes on with the answer, /retry asks again": (
        "已停止；/continue 接續這段回答，/retry 重新回答"
    ),
    "the model has nothing to add": "模型沒有要補充的",
    "/continue goes on with the answer": "/continue 接續這段回答",
    "this answer was interrupted; /continue goes on with it": "這段回答中斷了；/continue 可以接續",
    "/retry asks again, /undo forgets the message": "/retry 重新送出，/undo 收回這則訊息",
    "the context is {share} % full: /compact summarizes, /new begins anew": (
        "上下文已用 {share} %：/compact 改成摘要，/new 重新開始"
    ),
    "this chat is not saved: {error}": "這段對話不會儲存：{error}",
    "{name} is {value}": "{name} 現在是 {value}",
    "the model is loaded anew": "模型重新載入",
    "the system text is set": "已設定系統提示",
    "there is no system text now": "現在沒有系統提示",
    "{name} is loaded": "已載入 {name}",
    "a new conversation; the model remembers nothing of the old one": "新的對話；模型不記得之前的內容",
    "the summary is forgotten; the conversation is whole again": "摘要已移除；對話恢復完整",
    "the last message has no answer; /retry asks again": "最後一則訊息沒有回答；/retry 再問一次",
    "{count} older ones: gptoss history list": "還有 {count} 個較舊的：gptoss history list",
    "{name} is there already. Replace it?": "{name} 已經存在。要取代嗎？",
    "saved again, with all that was said in between": "又能儲存了，先前說的也都存好了",
    "{model} is not here any more; {other} goes on": "{model} 已不在這裡；由 {other} 繼續",
    "[{count} more lines]": "[還有 {count} 行]",
    "system text, preset": "系統文字與預設",
    "your messages": "你的訊息",
    "answers": "回答",
    "free": "可用",
    "all": "全部",
    "no conversation is saved yet": "還沒有儲存的對話",
    "saved as {name}: gptoss run {name}": "已存成 {name}：gptoss run {name}",
    "goes on with {id}: {title}": "接續 {id}：{title}",
    "this chat is called {name}": "這段對話名為 {name}",
    "written to {path}": "已寫入 {path}",
    "forgotten: {message}": "已收回：{message}",
    "this summary now stands for what was said": "之後以這段摘要代替先前的對話",
    "{problems}: sent as text": "{problems}：當作文字送出",
    # /? in the chat
    "change a setting; /? set lists them": "變更設定；/? set 列出有哪些",
    "look at the model; /? show lists what there is": "查看模型；/? show 列出有哪些",
    "answer the last message again, at another reasoning level": "重新回答上一則訊息，可換推理強度",
    "forget the last message and its answer": "收回上一則訊息和它的回答",
    "change the last message in your editor, and send it": "在編輯器裡修改上一則訊息並送出",
    "go on with an answer that was cut or stopped": "接續中斷或停止的回答",
    "copy the last answer, a block of its code, or all": "複製上一則回答、其中一段程式碼，或全部",
    "attach a text file to the next message (@PATH in it does too)": "下一則訊息附上文字檔（訊息裡寫 @PATH 也行）",
    "what the model thought for the last answer": "模型為上一則回答想了什麼",
    "the last exchange as the model read and wrote it": "上一次問答，照模型所讀所寫的樣子",
    "tokens and times of the last answer": "上一則回答的詞元數和時間",
    "what fills the context": "上下文裡有什麼",
    "put a summary in place of what was said": "以摘要代替先前的對話",
    "talk to another model, from the beginning": "換一個模型，重新開始",
    "make a model of the settings and what was said": "把設定和對話存成一個模型",
    "begin a new conversation; this one stays saved": "開始新的對話；這段仍會保存",
    "the same": "同上",
    "the conversations that are saved": "已儲存的對話",
    "go on with one of them": "接續其中一段",
    "give this conversation a name": "為這段對話命名",
    "write it to FILE.md, .json or .html": "寫入 FILE.md、.json 或 .html",
    "leave; so does Ctrl-D": "離開；Ctrl-D 也行",
    "leave": "離開",
    "this list; /? shortcuts, /? set and /? show tell more": "這份清單；另有 /? shortcuts、/? set 和 /? show",
    "parameters:": "參數：",
    "send": "送出",
    "a new line": "換行",
    "begin and end a message of several lines": "多行訊息的開頭和結尾",
    "stop the answer; clear what is typed; twice: leave": "停止回答；清除輸入；按兩次：離開",
    "what was typed before": "之前輸入過的",
    "complete commands, models, and files after @": "補完指令、模型，以及 @ 之後的檔名",
    "write in your editor": "在編輯器裡寫",
    "suspend; fg comes back": "暫停；fg 回來",
    "begin and end of the line, delete a word, delete to the begin": "行首、行尾、刪除一個詞、刪到行首",
    # gptoss bench
    "Measuring": "測量中",
    "depth {depth} left out: {reason}": "略過深度 {depth}：{reason}",
    "{size}, {layers} layers, on {devices}, threads {threads}, loaded in {load_s:.2f} s, memory read at {rate}/s": (
        "{size}，{layers} 層，在 {devices} 上，執行緒 {threads}，載入 {load_s:.2f} 秒，記憶體讀取每秒 {rate}"
    ),
    "DEPTH": "深度",
    "PREFILL/s": "讀取/秒",
    "DECODE/s": "回答/秒",
    "CEILING/s": "上限/秒",
    "RESIDENT": "常駐",
    "ANONYMOUS": "匿名",
    # headings
    "NAME": "名稱",
    "SIZE": "大小",
    "MODIFIED": "修改時間",
    "WEIGHTS": "權重",
    "STATUS": "狀態",
    "HASH": "雜湊值",
    "FILE": "檔案",
    "WHAT": "項目",
    "WHY": "原因",
    "VALUE": "值",
    "ORIGIN": "來源",
    "PRESET": "預設集",
    "PURPOSE": "用途",
    "built in": "內建",
    "Model": "模型",
    "architecture": "架構",
    "parameters": "參數量",
    "quantization": "量化",
    "context length": "上下文長度",
    "size": "大小",
    "from": "來源",
    "weights": "權重",
    "Adapters": "配接器",
    "Parameters": "參數",
    "System": "系統提示",
    "Messages": "訊息",
    "License": "授權",
    # ages
    "just now": "剛剛",
    "1 minute ago": "1 分鐘前",
    "1 hour ago": "1 小時前",
    "1 day ago": "1 天前",
    "1 month ago": "1 個月前",
    "1 year ago": "1 年前",
    "{count} minutes ago": "{count} 分鐘前",
    "{count} hours ago": "{count} 小時前",
    "{count} days ago": "{count} 天前",
    "{count} months ago": "{count} 個月前",
    "{count} years ago": "{count} 年前",
}

_table: Mapping[str, str] = {}


def of_environment(environment: Mapping[str, str]) -> str:
    """The language that the locale asks for: zh_TW, zh_HK, zh_MO and zh-Hant are Traditional Chinese, all else English.

    The first of LC_ALL, LC_MESSAGES and LANG that is set counts (POSIX, Base Definitions, 8.2).
    """
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    tag = locale.split(".")[0].split("@")[0].lower().replace("-", "_")
    traditional = tag.split("_")[:1] == ["zh"] and {"tw", "hk", "mo", "hant"} & set(tag.split("_"))
    return TAIWAN if traditional else ENGLISH


def choose(language: str) -> None:
    """Talk in ENGLISH or TAIWAN from now on; for the whole process, once, before anything is said."""
    global _table
    _table = CHINESE if language == TAIWAN else {}


def translated(text: str, **fields: object) -> str:
    """`text`, an English format string, in the language of the person, with its fields filled in."""
    return _table.get(text, text).format(**fields)
