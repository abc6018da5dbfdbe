"""English."""

GREETINGS = ("Hello,", "Hi there,", "Dear Sir or Madam,", "Good morning,", "Dear team,")
CLOSINGS = (
    "Kind regards,\n{name}",
    "Thanks, {name}",
    "Looking forward to your reply.",
    "{name}",
    "Many thanks.",
)
COMPANY_GREETINGS = ("Dear {name},", "Hello {name},", "Dear customer,")
COMPANY_CLOSINGS = ("Yours sincerely,\nCustomer Care", "Have a good day!", "We are here if you need us.")

SAID = {
    "ask_bill": (
        "My last bill says {amount} and I cannot tell what “other services” are.",
        "Why is it {amount} this month? I have not changed anything.",
        "Could you send me a breakdown of the {amount} invoice?",
        "I paid {days} days ago and my account still shows {amount} due.",
        "Can I pay the {amount} in two instalments?",
    ),
    "ask_tariff": (
        "I am interested in the {product}: what would it cost over two years?",
        "May I switch to the {product} without a fee?",
        "What does the {product} include, and is there a set-up charge?",
        "I saw the {product} advertised for {amount}. Does that hold for existing customers?",
    ),
    "ask_delivery": (
        "Order {order} was due {days} days ago. Where is it?",
        "Can {order} be delivered in the evening instead?",
        "The courier never rang. When will I get the {product}?",
        "I need to change the delivery address of {order}.",
    ),
    "ask_technical": (
        "The connection drops every evening; I have restarted it {days} times.",
        "The {product} does not switch on after the update.",
        "No signal since this morning, the light is red.",
        "The speed is a third of what was promised, test attached.",
    ),
    "ask_data": (
        "I have moved; please correct the address on my contract.",
        "Please change my e-mail address for paperless billing.",
        "I need a copy of the contract for the {product}.",
    ),
    "overcharged": (
        "We agreed another price on the phone, and you took {amount} for the {product}!",
        "I was quoted less. Why does order {order} say {amount}?",
        "Your colleague confirmed the discount, yet my card was charged {amount}.",
        "Please refund the difference: I paid {amount}, the agreed price was lower.",
    ),
    "again": (
        "I am calling about the same thing again. Every time I start from scratch.",
        "I have explained this {amount} {days} times now and nobody knows anything.",
        "Your colleague said it was fixed. It is not.",
        "You are the third person to ask me for the same contract number.",
    ),
    "nudge": (
        "I wrote {days} days ago and have had no answer.",
        "Does anyone read this mailbox?",
        "A reminder of my earlier mail about the {product}.",
    ),
    "rude": (
        "The clerk shouted at me in front of the whole queue.",
        "I was told “if you don't like it, go elsewhere”. I have never been treated so badly.",
        "They interrupted me, laughed and turned away.",
    ),
    "indifferent": (
        "She never looked up from the screen; I was just a number.",
        "All I got was a shrug.",
        "He was on a private call while I explained.",
    ),
    "complaint": (
        "Three engineer visits and the {product} still does not work. I want compensation.",
        "I complain about the way order {order} was handled.",
        "Please explain in writing why I owe {amount}.",
        "Without a solution within {days} days I shall go to the ombudsman.",
    ),
    "praise": (
        "Quick and friendly, thank you!",
        "The young man at the desk explained everything in five minutes.",
        "Delighted, the {product} came a day early.",
        "Sorted on the first call. Well done.",
    ),
    "dissatisfied": (
        "A waste of time. My question is still open.",
        "A long wait, and then I was sent to the office.",
        "For {amount} I expect to be treated better.",
        "They promise and do not deliver.",
    ),
    "self_service": (
        "The site fails when I try to pay {amount}.",
        "I cannot log in, the code never arrives.",
        "The app freezes on the last step.",
    ),
    "answer": (
        "we have checked your invoice: {amount} covers the subscription and the {product}.",
        "your request is done; the change applies from next month.",
        "order {order} is with the courier, please allow {days} working days.",
        "we have set it up on our side, please restart the {product}.",
    ),
    "sorry": (
        "we apologise for the delay. {amount} will be credited on your next invoice.",
        "we are sorry for the trouble with order {order}. It has been put right.",
        "thank you for your patience; the mistake was ours and is corrected.",
    ),
    "acknowledge": (
        "we are looking into your complaint; you will hear from us within {days} working days.",
        "this is to confirm that your letter is with a senior colleague.",
    ),
    "promise": (
        "We shall call back tomorrow, once the engineer has checked the line.",
        "Promised a call with a decision about {amount}.",
        "A colleague from Payments will ring in person.",
    ),
    "note": (
        "Asked about the {product}; explained, satisfied.",
        "Bill of {amount} explained, breakdown sent by e-mail.",
        "Contract data checked, no change.",
        "Helped with the login.",
    ),
    "remedy": (
        "refund of {amount}",
        "a written apology",
        "free repair of the {product}",
        "two months' discount",
    ),
}
