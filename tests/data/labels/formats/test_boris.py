BORIS = "Observation id\tMedia duration (s)\tFPS (frame/s)\tSubject\tBehavior\tBehavioral category\tModifier #1\tBehavior type\tStart (s)\tStop (s)\tDuration (s)\tMedia file name\tImage index start"
OLD_BORIS = "Observation id,Media file,Total length,FPS,Subject,Behavior,Modifiers,Behavior type,Start (s),Stop (s)"
PUT_MEAT = (["put meat"], [])


def boris(*rows, more=("", "")):
    lines = [
        f"obs1\t539.92\t25.0\tNo focal subject\t{behavior}\t\t{modifier}\t{kind}\t{start}\t{stop}\t1\t{media}\t45{more[1]}"
        for behavior, modifier, kind, start, stop, media in rows
    ]
    return {"events.tsv": "\n".join([BORIS + more[0], *lines])}


def test_boris(read):
    files = boris(
        ("put", "meat", "STATE", "1.800", "8.125", "a.mp4"),
        ("Take bag", "None", "STATE", "9", "16", "/x/a.mp4"),
        ("bite", "", "POINT", "3", "3", "a.mp4"),
        ("put", "", "STATE", "NA", "4", "a.mp4"),
        ("put", "", "STATE", "1", "4", "a.mp4;b.mp4"),
    )
    assert read(files, 2) == (
        ["put meat", "take bag"],
        [
            "events.tsv line 4: 'bite' is a point in time without a duration; code it as a state event",
            "events.tsv line 5: Start (s) 'NA' is not a number",
            "events.tsv line 6: its observation has 2 media files, over which its times run on; give each an observation of its own",
        ],
    )
    assert read({"events.csv": f"{OLD_BORIS}\nobs1,a.mp4,540,25,x,put,None|meat,STATE,0,8\n"}) == PUT_MEAT


def test_a_time_offset_of_boris_is_refused(read):
    none, some = (boris(("put", "meat", "STATE", 1, 8, "a.mp4"), more=("\tTime offset (s)", f"\t{offset}")) for offset in ("0.0", "5"))
    assert read(none) == PUT_MEAT
    assert "set it to 0 and export again" in read(some)[1][0]
